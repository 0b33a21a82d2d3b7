"""How a REST source is written by hand: pages by requests, rows by execute_values.

    rest_peer.py URL DSN        into the table items, which is there
"""
import sys

import psycopg2
import requests
from psycopg2.extras import execute_values

COLUMNS = ("id", "customer", "sku", "quantity", "price", "discount", "status", "paid", "created_at", "email",
           "comment", "weight")


def main(url, dsn):
    db = psycopg2.connect(dsn)
    page = 1
    with db, db.cursor() as cursor:
        while True:
            data = requests.get(f"{url}/items", params={"page": page}, timeout=60).json()["data"]
            if not data:
                break
            execute_values(cursor, f"insert into items ({', '.join(COLUMNS)}) values %s",
                           [tuple(r[c] for c in COLUMNS) for r in data], page_size=1000)
            page += 1


main(*sys.argv[1:])
