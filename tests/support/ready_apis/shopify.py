"""Shopify, as its public documentation describes it."""
import base64
import json
import urllib.parse

from fake_api import reply

from .service import Route, SIZE, Service, from_iso, iso


class Shopify(Service):
    name = "shopify"
    config = {"base_url": "URL"}
    secrets = {"access_token": "shpat_test"}
    keys = {"inventory_levels": ["inventory_item_id", "location_id"]}
    incremental = ("orders", "customers", "products", "draft_orders", "abandoned_checkouts", "custom_collections", "smart_collections",
                   "price_rules", "inventory_levels")

    def data(self):
        def made(base, n=3):
            return [{"id": base + i, "created_at": iso(t), "updated_at": iso(t, "%Y-%m-%dT%H:%M:%S-00:00"), "total_price": "19.90"}
                    for i, t in enumerate(self.times(n))]
        return {**{s: made(1000 * (k + 1)) for k, s in enumerate(self.incremental[:-1])},
                "shop": [{"id": 1, "name": "Harbour", "currency": "EUR"}],
                "order_transactions": [{"_of": 1000, "id": 20000, "order_id": 1000, "kind": "sale", "amount": "19.90", "receipt": {}}],
                "locations": [{"id": 50 + i, "name": f"Store {i}", "active": True} for i in range(3)],
                "inventory_levels": [{"inventory_item_id": 7, "location_id": 50 + i, "available": i, "updated_at": iso(self.first)} for i in range(3)]}

    def table(self):
        base = "/admin/api/2024-10"
        page = ("limit", "page_info")
        whole = lambda member: lambda r, rows, m: reply({member: [self.shown(x) for x in rows]})  # noqa: E731
        lists = ((s, "checkouts" if s == "abandoned_checkouts" else s) for s in self.incremental[:-1])
        return [
            Route("GET", f"{base}/shop.json", "shop", lambda r, rows, m: reply({"shop": rows[0]})),
            Route("GET", f"{base}/orders/([0-9]+)/transactions.json", "order_transactions", whole("transactions")),
            Route("GET", f"{base}/locations.json", "locations", whole("locations")),
            Route("GET", f"{base}/inventory_levels.json", "inventory_levels", self.levels, (*page, "location_ids", "updated_at_min")),
            *(Route("GET", f"{base}/{path}.json", s, self.list, (*page, "updated_at_min", *(["status"] if s in ("orders", "abandoned_checkouts") else ())))
              for s, path in lists),
        ]

    def list(self, request, rows, match):
        q = request.query
        if "page_info" in q and set(q) - {"page_info", "limit"}:
            return self.refuse("page_info stands alone")
        since, at = json.loads(base64.b64decode(q["page_info"])) if "page_info" in q else (q.get("updated_at_min"), 0)
        rows = [r for r in rows if not since or from_iso(r["updated_at"]) >= from_iso(since)]
        member = request.path.rsplit("/", 1)[1].removesuffix(".json")
        answer = reply({member: rows[at:at + SIZE]})
        if at + SIZE < len(rows):
            info = base64.b64encode(json.dumps([since, at + SIZE]).encode()).decode()
            answer.headers["Link"] = f'<{self.api.url}{request.path}?limit=250&page_info={urllib.parse.quote(info)}>; rel="next"'
        return answer

    def levels(self, request, rows, match):
        if "page_info" not in request.query:
            wanted = {int(i) for i in request.query["location_ids"].split(",")}
            rows = [r for r in rows if r["location_id"] in wanted]
        return self.list(request, rows, match)

    def knows(self, request):
        return request.headers.get("X-Shopify-Access-Token") == self.secrets["access_token"]

    def denied(self):
        return reply({"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"}, status=401)

    def missing(self):
        return reply({"errors": "Not Found"}, status=404)

    def refuse(self, why):
        return reply({"errors": {"base": [why]}}, status=400)

    def slow_down(self):
        return reply({"errors": "Exceeded 2 calls per second for api client. Reduce request rates to resume uninterrupted service."}, status=429,
                     headers={"Retry-After": "0.2", "X-Shopify-Shop-Api-Call-Limit": "40/40"})

    def told(self):
        return {"X-Shopify-Shop-Api-Call-Limit": "3/40"}

    def change(self):
        for stream in self.incremental[:-1]:
            self.tables[stream].append({**self.tables[stream][0], "id": 90000 + self.tables[stream][0]["id"], "updated_at": iso(self.now)})
        self.tables["inventory_levels"].append({"inventory_item_id": 8, "location_id": 51, "available": 4, "updated_at": iso(self.now)})
