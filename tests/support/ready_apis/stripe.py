"""Stripe, as its public documentation describes it."""
from fake_api import reply

from .service import Route, SIZE, Service


class Stripe(Service):
    name = "stripe"
    config = {"base_url": "URL/v1"}
    secrets = {"api_key": "rk_live_51test"}
    incremental = ("balance_transactions", "events")
    prefixes = {"customers": "cus", "products": "prod", "prices": "price", "subscriptions": "sub", "invoices": "in",
                "payment_intents": "pi", "charges": "ch", "refunds": "re", "disputes": "dp", "payouts": "po",
                "balance_transactions": "txn", "events": "evt"}

    def data(self):
        recent = self.now - 40 * 3600  # an event is kept for thirty days
        return {stream: [{"id": f"{p}_{i:04}", "object": stream.rstrip("s"), "created": recent + 3600 * i, "amount": 100 * i,
                          "currency": "eur", "livemode": True, "metadata": {"order": str(i)}} for i in range(5)]
                for stream, p in self.prefixes.items()}

    def table(self):
        return [Route("GET", "/v1/balance", None, lambda r, rows, m: reply({"object": "balance", "available": []})),
                *(Route("GET", f"/v1/{s}", s, self.list, ("limit", "starting_after", "created[gte]", *(["status"] if s == "subscriptions" else ())))
                  for s in self.prefixes)]

    def list(self, request, rows, match):
        q = request.query
        rows = sorted((r for r in rows if r["created"] >= int(q.get("created[gte]", 0))), key=lambda r: -r["created"])
        at = [r["id"] for r in rows].index(q["starting_after"]) + 1 if "starting_after" in q else 0
        return reply({"object": "list", "url": request.path, "has_more": at + SIZE < len(rows), "data": rows[at:at + SIZE]})

    def knows(self, request):
        return self.bearer(request, self.secrets["api_key"]) and request.headers.get("Stripe-Version")

    def denied(self):
        return reply({"error": {"message": "Invalid API Key provided: rk_live_****test", "type": "invalid_request_error"}}, status=401)

    def missing(self):
        return reply({"error": {"message": "Unrecognized request URL", "type": "invalid_request_error"}}, status=404)

    def refuse(self, why):
        return reply({"error": {"message": why, "type": "invalid_request_error", "code": "parameter_unknown"}}, status=400)

    def slow_down(self):
        return reply({"error": {"message": "Request rate limit exceeded.", "type": "invalid_request_error", "code": "rate_limit"}}, status=429,
                     headers={"Retry-After": "0"})

    def change(self):
        for stream in self.incremental:
            self.tables[stream].append({"id": f"{self.prefixes[stream]}_new", "created": self.now})
