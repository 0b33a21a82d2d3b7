"""Ten services as their public documentation describes them: who they let in, how their pages follow
each other, what they filter by, how they say no. The data is made up here.

Each module is one of them: a table of routes over a table of rows. service.py plays them.
"""
from .github import GitHub
from .hubspot import HubSpot
from .intercom import Intercom
from .jira import Jira
from .notion import Notion
from .salesforce import Salesforce
from .shopify import Shopify
from .slack import Slack
from .stripe import Stripe
from .zendesk import Zendesk

FAKES = (GitHub, HubSpot, Intercom, Jira, Notion, Salesforce, Shopify, Slack, Stripe, Zendesk)
