-- create
CREATE TABLE "orders" ("id" INTEGER, "re""gi`on" TEXT, "paid" INTEGER, "price" TEXT, "exact" TEXT, "ratio" REAL, "small" REAL, "raw" BLOB, "day" TEXT, "at" TEXT, "seen" TEXT, "updated" TEXT, "span" TEXT, "ref" TEXT, "extra" TEXT, "_connectord_synced_at" TEXT);

-- index the key
CREATE UNIQUE INDEX "_connectord_key_1" ON "orders" ("id", "re""gi`on");

-- drop the index
DROP INDEX "_connectord_key_1";

-- add a column
ALTER TABLE "orders" ADD COLUMN "note" TEXT;

-- fill columns
UPDATE "orders" AS t SET "note" = s."note", "grade" = s."grade" FROM "_connectord_older" AS s;

-- rename a column
ALTER TABLE "orders" RENAME COLUMN "memo" TO "note";

-- drop
DROP TABLE IF EXISTS "orders";

-- rename
ALTER TABLE "orders__g2" RENAME TO "orders";

-- delete all
DELETE FROM "orders";

-- count, default schema
SELECT count(*) FROM "or""ders";

-- count repeated keys
SELECT count(*) FROM (SELECT 1 AS one FROM "orders" GROUP BY "id", "re""gi`on" HAVING count(*) > 1) AS repeated;

-- fold a loaded table
DELETE FROM "orders" WHERE "rowid" IN (SELECT id FROM (SELECT "rowid" AS id, row_number() OVER (PARTITION BY "id", "re""gi`on" ORDER BY "rowid" DESC) AS nth FROM "orders") AS ranked WHERE nth > 1);

-- copy all rows
INSERT INTO "orders" ("id", "re""gi`on", "paid", "price", "exact", "ratio", "small", "raw", "day", "at", "seen", "updated", "span", "ref", "extra", "_connectord_synced_at") SELECT "id", "re""gi`on", "paid", "price", "exact", "ratio", "small", "raw", "day", "at", "seen", "updated", "span", "ref", "extra", "_connectord_synced_at" FROM "orders__g2";

-- create a staging table
CREATE TEMP TABLE "_connectord_stage_0" ("_connectord_order" INTEGER PRIMARY KEY, "id" INTEGER, "re""gi`on" TEXT, "paid" INTEGER, "price" TEXT, "exact" TEXT, "ratio" REAL, "small" REAL, "raw" BLOB, "day" TEXT, "at" TEXT, "seen" TEXT, "updated" TEXT, "span" TEXT, "ref" TEXT, "extra" TEXT, "_connectord_synced_at" TEXT);

-- drop a staging table
DROP TABLE IF EXISTS "_connectord_stage_0";

-- fold, the last wins
DELETE FROM "_connectord_stage_0" WHERE "_connectord_order" IN (SELECT id FROM (SELECT "_connectord_order" AS id, row_number() OVER (PARTITION BY "id", "re""gi`on" ORDER BY "_connectord_order" DESC) AS nth FROM "_connectord_stage_0") AS ranked WHERE nth > 1);

-- fold, the first wins
DELETE FROM "_connectord_stage_0" WHERE "_connectord_order" IN (SELECT id FROM (SELECT "_connectord_order" AS id, row_number() OVER (PARTITION BY "id", "re""gi`on" ORDER BY "_connectord_order") AS nth FROM "_connectord_stage_0") AS ranked WHERE nth > 1);

-- merge: rewrite what differs
UPDATE "orders" AS t SET "paid" = s."paid", "price" = s."price", "exact" = s."exact", "ratio" = s."ratio", "small" = s."small", "raw" = s."raw", "day" = s."day", "at" = s."at", "seen" = s."seen", "updated" = s."updated", "span" = s."span", "ref" = s."ref", "extra" = s."extra", "_connectord_synced_at" = s."_connectord_synced_at" FROM "_connectord_stage_0" AS s WHERE t."id" = s."id" AND t."re""gi`on" = s."re""gi`on" AND (t."paid" IS NOT s."paid" OR t."price" IS NOT s."price" OR t."exact" IS NOT s."exact" OR t."ratio" IS NOT s."ratio" OR t."small" IS NOT s."small" OR t."raw" IS NOT s."raw" OR t."day" IS NOT s."day" OR t."at" IS NOT s."at" OR t."seen" IS NOT s."seen" OR t."updated" IS NOT s."updated" OR t."span" IS NOT s."span" OR t."ref" IS NOT s."ref" OR t."extra" IS NOT s."extra");

-- merge: insert what is missing, a part
INSERT INTO "orders" ("id", "re""gi`on", "paid", "price", "exact", "ratio", "small", "raw", "day", "at", "seen", "updated", "span", "ref", "extra", "_connectord_synced_at") SELECT s."id", s."re""gi`on", s."paid", s."price", s."exact", s."ratio", s."small", s."raw", s."day", s."at", s."seen", s."updated", s."span", s."ref", s."extra", s."_connectord_synced_at" FROM "_connectord_stage_0" AS s WHERE NOT EXISTS (SELECT 1 FROM "orders" AS t WHERE t."id" = s."id" AND t."re""gi`on" = s."re""gi`on") AND s."_connectord_order" BETWEEN 5 AND 9 ORDER BY s."_connectord_order";

-- delete what is missing
DELETE FROM "orders" AS t WHERE NOT EXISTS (SELECT 1 FROM "_connectord_stage_0" AS s WHERE t."id" = s."id" AND t."re""gi`on" = s."re""gi`on");

-- rewrite in a table of others, a part
UPDATE "orders" AS t SET "mood" = CAST(s."mood" AS "Mood"), "doc" = s."doc" FROM "_connectord_stage_0" AS s WHERE t."id" = s."id" AND (CAST(t."mood" AS text) IS NOT CAST(s."mood" AS text) OR CAST(t."doc" AS text) IS NOT CAST(s."doc" AS text)) AND s."_connectord_order" BETWEEN 5 AND 9;

-- insert into a table of others, a part
INSERT INTO "orders" ("id", "mood", "doc") SELECT s."id", CAST(s."mood" AS "Mood"), s."doc" FROM "_connectord_stage_0" AS s WHERE s."_connectord_order" BETWEEN 5 AND 9 ORDER BY s."_connectord_order";

-- number the rows of a generation
INSERT INTO "_connectord_stage_0" ("_connectord_order", "id", "mood", "doc") SELECT row_number() OVER () - 1, "id", "mood", "doc" FROM "orders__g2";

-- what a staged row was
SELECT s."id", s."mood", s."doc" FROM "_connectord_stage_0" AS s WHERE s."_connectord_order" BETWEEN 7 AND 7;

-- insert two rows
INSERT INTO "orders" ("id", "re""gi`on", "paid") VALUES (?1, ?2, ?3), (?4, ?5, ?6);

-- insert two rows that share a value
INSERT INTO "orders" ("id", "re""gi`on", "paid") VALUES (?2, ?1, ?3), (?4, ?1, ?5);

-- create the state table
CREATE TABLE IF NOT EXISTS "_connectord_state" ("pipeline" TEXT NOT NULL, "stream" TEXT NOT NULL, "part" TEXT NOT NULL, "generation" INTEGER, "live_generation" INTEGER, "fence" INTEGER, "seq" INTEGER, "position" TEXT, "counters" TEXT, "schema_version" INTEGER, "run_id" TEXT, "committed_at" TEXT, "wanted_name" TEXT, "target" TEXT, "identity" TEXT, "schema_hash" TEXT, "columns" TEXT, "garbage" TEXT, PRIMARY KEY ("pipeline", "stream", "part"));

-- create the quarantine
CREATE TABLE IF NOT EXISTS "_connectord_quarantine" ("pipeline" TEXT, "stream" TEXT, "generation" INTEGER, "seq" INTEGER, "ordinal" INTEGER, "level" TEXT, "column" TEXT, "reason" TEXT, "detail" TEXT, "key" TEXT, "position" TEXT, "raw" TEXT, "encoding" TEXT, "run_id" TEXT, "at" TEXT);

-- read the state
SELECT "pipeline", "stream", "part", "generation", "live_generation", "fence", "seq", "position", "counters", "schema_version", "run_id", "committed_at", "wanted_name", "target", "identity", "schema_hash", "columns", "garbage" FROM "_connectord_state" WHERE "pipeline" = ?1;

-- whose table is it
SELECT "pipeline", "stream", "target" FROM "_connectord_state";

-- commit the state
UPDATE "_connectord_state" SET "generation" = ?1, "live_generation" = ?2, "fence" = ?3, "seq" = ?4, "position" = ?5, "counters" = ?6, "schema_version" = ?7, "run_id" = ?8, "committed_at" = ?9, "wanted_name" = ?10, "target" = ?11, "identity" = ?12, "schema_hash" = ?13, "columns" = ?14, "garbage" = ?15 WHERE "pipeline" = ?16 AND "stream" = ?17 AND "part" = ?18 AND "fence" = ?19 AND "seq" = ?20;

-- forget the state
DELETE FROM "_connectord_state" WHERE "pipeline" = ?1 AND "stream" = ?2;

-- forget the quarantine
DELETE FROM "_connectord_quarantine" WHERE "pipeline" = ?1 AND "stream" = ?2;

-- scan: everything, without a key (0 parameters)
SELECT "id", "na""me", "updated" FROM "orders";

-- scan: everything by key (0 parameters)
SELECT "id", "na""me", "updated", "id", "na""me" FROM "orders" ORDER BY "id", "na""me";

-- scan: behind a key (2 parameters)
SELECT "id", "na""me", "updated", "id", "na""me" FROM "orders" WHERE ("id", "na""me") > (?1, ?2) ORDER BY "id", "na""me";

-- scan: no cursor, behind a key (2 parameters)
SELECT "id", "na""me", "updated", "id", "na""me" FROM "orders" WHERE connectord_instant("updated", 'timestamp') IS NULL AND ("id", "na""me") > (?1, ?2) ORDER BY "id", "na""me";

-- scan: first run (1 parameters)
SELECT "id", "na""me", "updated", "id", "na""me", connectord_instant("updated", 'timestamp') FROM "orders" WHERE connectord_instant("updated", 'timestamp') <= ?1 ORDER BY connectord_instant("updated", 'timestamp'), "id", "na""me";

-- scan: a window (3 parameters)
SELECT "id", "na""me", "updated", "id", "na""me", connectord_instant("updated", 'timestamp') FROM "orders" WHERE ("updated" >= ?1 OR "updated" < '/') AND connectord_instant("updated", 'timestamp') >= ?2 AND connectord_instant("updated", 'timestamp') <= ?3 ORDER BY connectord_instant("updated", 'timestamp'), "id", "na""me";

-- scan: behind cursor and key (5 parameters)
SELECT "id", "na""me", "updated", "id", "na""me", connectord_instant("updated", 'timestamp') FROM "orders" WHERE ("updated" >= ?1 OR "updated" < '/') AND connectord_instant("updated", 'timestamp') <= ?2 AND (connectord_instant("updated", 'timestamp'), "id", "na""me") > (?3, ?4, ?5) ORDER BY connectord_instant("updated", 'timestamp'), "id", "na""me";

-- scan: behind a cursor, without a key (3 parameters)
SELECT "id", "na""me", "updated", connectord_instant("updated", 'timestamp') FROM "orders" WHERE ("updated" >= ?1 OR "updated" < '/') AND connectord_instant("updated", 'timestamp') <= ?2 AND (connectord_instant("updated", 'timestamp')) > (?3) ORDER BY connectord_instant("updated", 'timestamp');

-- count a window
SELECT count(*) FROM "orders" WHERE ("updated" >= ?1 OR "updated" < '/') AND connectord_instant("updated", 'timestamp') <= ?2 AND (connectord_instant("updated", 'timestamp')) > (?3);

-- the greatest time
SELECT max(connectord_instant("updated", 'timestamp')) FROM "orders" WHERE ("updated" >= ?1 OR "updated" < '/');

-- the greatest number
SELECT max("id") FROM "orders" WHERE "id" <= 9223372036854775807;

