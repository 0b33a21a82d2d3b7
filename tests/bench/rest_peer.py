"""How a REST source is written by hand: pages by urllib, rows by execute_values.

    rest_peer.py URL DSN        into the table items, which is there
"""
import json
import sys
import urllib.request

import psycopg2
from psycopg2.extras import execute_values

COLUMNS = ("id", "customer", "sku", "quantity", "price", "discount", "status", "paid", "created_at", "email",
           "comment", "weight")


def main(url, dsn):
    db = psycopg2.connect(dsn)
    page = 1
    with db, db.cursor() as cursor:
        while True:
            with urllib.request.urlopen(f"{url}/items?page={page}") as answer:
                data = json.load(answer)["data"]
            if not data:
                break
            execute_values(cursor, f"insert into items ({', '.join(COLUMNS)}) values %s",
                           [tuple(r[c] for c in COLUMNS) for r in data], page_size=1000)
            page += 1


main(*sys.argv[1:])
