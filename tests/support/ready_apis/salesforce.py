"""Salesforce, as its public documentation describes it."""
import base64
import re

from fake_api import reply

from .service import Route, SIZE, Service, from_iso, iso


class Salesforce(Service):
    name = "salesforce"
    config = {"base_url": "URL", "client_id": "3MVG9test"}
    secrets = {"client_secret": "8C4Etest"}
    objects = {"accounts": "Account", "contacts": "Contact", "leads": "Lead", "opportunities": "Opportunity",
               "opportunity_line_items": "OpportunityLineItem", "cases": "Case", "tasks": "Task", "events": "Event", "campaigns": "Campaign",
               "campaign_members": "CampaignMember", "products": "Product2", "users": "User"}
    keys = {s: ["Id"] for s in objects}
    incremental = tuple(objects)
    token = "00Dxx!test.access"

    def data(self):
        return {s: [{"attributes": {"type": o, "url": f"/services/data/v62.0/sobjects/{o}/{i}"}, "Id": f"{o[:3]}{i:015}", "Name": f"{o} {i}",
                     "IsDeleted": i == 2, "SystemModstamp": iso(t, "%Y-%m-%dT%H:%M:%S.000+0000")} for i, t in enumerate(self.times(3))]
                for s, o in self.objects.items()}

    def table(self):
        data = "/services/data/v62.0"
        return [Route("POST", "/services/oauth2/token", None, self.give_token),
                Route("GET", f"{data}/limits", None, lambda r, rows, m: reply({"DailyApiRequests": {"Max": 15000, "Remaining": 14000}})),
                Route("GET", f"{data}/queryAll", None, self.query, ("q",)),
                Route("GET", f"{data}/query/([A-Za-z0-9_-]+)-([0-9]+)", None, self.more)]

    def give_token(self, request, rows, match):
        want = {"grant_type": "client_credentials", "client_id": "3MVG9test", "client_secret": self.secrets["client_secret"]}
        if request.form != want:
            return reply({"error": "invalid_client", "error_description": "invalid client credentials"}, status=400)
        return reply({"access_token": self.token, "instance_url": self.api.url, "token_type": "Bearer", "scope": "api", "issued_at": "1700000000000"})

    def query(self, request, rows, match):
        asked = re.fullmatch(r"SELECT FIELDS\(STANDARD\) FROM ([A-Za-z0-9]+) WHERE SystemModstamp >= ([0-9TZ:.+-]+) ORDER BY SystemModstamp, Id",
                             request.query["q"])
        if not asked or asked[1] not in self.objects.values():
            return self.refuse("unexpected token")
        return self.page(asked[1], asked[2], 0)

    def more(self, request, rows, match):
        name, since = base64.urlsafe_b64decode(match[1] + "==").decode().split("|")
        return self.page(name, since, int(match[2]))

    def page(self, name, since, at):
        stream = next(s for s, o in self.objects.items() if o == name)
        stamp = lambda r: from_iso(r["SystemModstamp"].replace("+0000", "+00:00"))  # noqa: E731
        rows = sorted((r for r in self.tables[stream] if stamp(r) >= from_iso(since)), key=lambda r: (stamp(r), r["Id"]))
        answer = {"totalSize": len(rows), "done": at + SIZE >= len(rows), "records": rows[at:at + SIZE]}
        if not answer["done"]:
            locator = base64.urlsafe_b64encode(f"{name}|{since}".encode()).decode().rstrip("=")
            answer["nextRecordsUrl"] = f"/services/data/v62.0/query/{locator}-{at + SIZE}"
        return reply(answer)

    def knows(self, request):
        return request.path == "/services/oauth2/token" or self.bearer(request, self.token)

    def denied(self):
        return reply([{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}], status=401)

    def missing(self):
        return reply([{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}], status=404)

    def refuse(self, why):
        return reply([{"message": why, "errorCode": "MALFORMED_QUERY"}], status=400)

    def slow_down(self):
        return reply([{"message": "Server busy", "errorCode": "SERVER_UNAVAILABLE"}], status=503)

    def told(self):
        return {"Sforce-Limit-Info": "api-usage=1000/15000"}

    def change(self):
        for stream, o in self.objects.items():
            self.tables[stream].append({**self.tables[stream][0], "Id": f"{o[:3]}new", "SystemModstamp": iso(self.now, "%Y-%m-%dT%H:%M:%S.000+0000")})
