"""HubSpot, as its public documentation describes it."""
from fake_api import reply

from .service import Route, SIZE, Service, from_iso, iso


class HubSpot(Service):
    name = "hubspot"
    config = {"base_url": "URL"}
    secrets = {"access_token": "pat-eu1-test"}
    objects = ("contacts", "companies", "deals", "tickets", "notes", "calls", "emails", "meetings", "tasks")
    incremental = objects
    ceiling = 10000

    def data(self):
        def made(base, archived=False):
            return [{"id": str(base + i), "properties": {"hs_object_id": str(base + i)}, "createdAt": iso(t), "archived": archived,
                     "updatedAt": iso(t, "%Y-%m-%dT%H:%M:%S.123Z")} for i, t in enumerate(self.times())]
        return {**{s: made(1000 * (n + 1)) for n, s in enumerate(self.objects)}, "archived_contacts": made(90000, True),
                "owners": [{"id": str(i), "email": f"o{i}@example.com", "userId": i} for i in range(3)],
                "deal_pipelines": [{"id": "default", "label": "Sales", "stages": [{"id": "won"}]}]}

    def table(self):
        return [*(Route("POST", f"/crm/v3/objects/{s}/search", s, self.search) for s in self.objects),
                Route("GET", "/crm/v3/objects/contacts", "archived_contacts", self.list, ("limit", "after", "archived")),
                Route("GET", "/crm/v3/owners", "owners", self.list, ("limit", "after")),
                Route("GET", "/crm/v3/pipelines/deals", "deal_pipelines", lambda r, rows, m: reply({"results": rows}))]

    def page(self, rows, after):
        at = int(after or 0)
        more = {"paging": {"next": {"after": str(at + SIZE)}}} if at + SIZE < len(rows) else {}
        return {"results": rows[at:at + SIZE], **more}

    def list(self, request, rows, match):
        return reply(self.page(rows, request.query.get("after")))

    def search(self, request, rows, match):
        asked = request.json()
        if not isinstance(asked["properties"], list) or set(asked) - {"filterGroups", "sorts", "properties", "limit", "after"}:
            return self.refuse("Invalid input JSON")
        if int(asked.get("after", 0)) + SIZE > self.ceiling:
            return self.refuse("a search gives 10,000 results and no more")
        where, = asked["filterGroups"][0]["filters"]
        assert where["operator"] == "GTE" and asked["sorts"][0] == {"propertyName": where["propertyName"], "direction": "ASCENDING"}
        rows = [r for r in rows if from_iso(r["updatedAt"]) * 1000 >= int(where["value"])]
        rows.sort(key=lambda r: (r["updatedAt"], r["id"]))
        return reply({"total": len(rows), **self.page(rows, asked.get("after"))})

    def knows(self, request):
        return self.bearer(request, self.secrets["access_token"])

    def denied(self):
        return reply({"status": "error", "message": "Authentication credentials not found.", "category": "INVALID_AUTHENTICATION"}, status=401)

    def missing(self):
        return reply({"status": "error", "message": "resource not found"}, status=404)

    def refuse(self, why):
        return reply({"status": "error", "message": why, "category": "VALIDATION_ERROR"}, status=400)

    def slow_down(self):
        return reply({"status": "error", "message": "You have reached your secondly limit.", "errorType": "RATE_LIMIT",
                      "policyName": "SECONDLY"}, status=429)

    def told(self):
        return {"X-HubSpot-RateLimit-Max": "100", "X-HubSpot-RateLimit-Remaining": "94"}

    def change(self):
        for stream in self.objects:
            self.tables[stream].append({**self.tables[stream][0], "id": f"9{self.tables[stream][0]['id']}", "updatedAt": iso(self.now)})
