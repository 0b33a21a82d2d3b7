-- create
CREATE TABLE "shop"."orders" ("id" bigint NOT NULL, "re""gi`on" text NOT NULL, "paid" boolean, "price" numeric, "exact" numeric, "ratio" double precision, "small" real, "raw" bytea, "day" date, "at" time, "seen" timestamp, "updated" timestamptz, "span" interval, "ref" uuid, "extra" jsonb, "_connectord_synced_at" timestamptz);

-- index the key
CREATE UNIQUE INDEX "_connectord_key_1" ON "shop"."orders" ("id", "re""gi`on");

-- make the index the primary key
ALTER TABLE "shop"."orders" ADD CONSTRAINT "_connectord_key_1" PRIMARY KEY USING INDEX "_connectord_key_1";

-- drop the index
DROP INDEX "shop"."_connectord_key_1";

-- add a column
ALTER TABLE "shop"."orders" ADD COLUMN "note" text;

-- and take its default from it
ALTER TABLE "shop"."orders" ALTER COLUMN "note" DROP DEFAULT;

-- fill columns
UPDATE "shop"."orders" AS t SET "note" = s."note", "grade" = s."grade" FROM "_connectord_older" AS s;

-- rename a column
ALTER TABLE "shop"."orders" RENAME COLUMN "memo" TO "note";

-- widen a column
ALTER TABLE "shop"."orders" ALTER COLUMN "note" TYPE text USING "note"::text;

-- widen an instant to text
ALTER TABLE "shop"."orders" ALTER COLUMN "note" TYPE text USING replace(CASE WHEN isfinite("note") AND extract(year FROM "note") NOT BETWEEN 1 AND 9999 THEN regexp_replace(trim('"' FROM to_jsonb("note")::text), '^[0-9]+(.*?)( BC)?$', CASE WHEN extract(year FROM "note") > 0 THEN '+' || extract(year FROM "note")::int ELSE to_char(extract(year FROM "note") + 1, 'FM0000') END || '\1') ELSE trim('"' FROM to_jsonb("note")::text) END, '+00:00', 'Z');

-- drop
DROP TABLE IF EXISTS "shop"."orders";

-- rename
ALTER TABLE "shop"."orders__g2" RENAME TO "orders";

-- delete all
DELETE FROM "shop"."orders";

-- count, default schema
SELECT count(*) FROM "or""ders";

-- count repeated keys
SELECT count(*) FROM (SELECT 1 AS one FROM "shop"."orders" GROUP BY "id", "re""gi`on" HAVING count(*) > 1) AS repeated;

-- fold a loaded table
DELETE FROM "shop"."orders" WHERE "ctid" IN (SELECT id FROM (SELECT "ctid" AS id, row_number() OVER (PARTITION BY "id", "re""gi`on" ORDER BY "ctid" DESC) AS nth FROM "shop"."orders") AS ranked WHERE nth > 1);

-- copy all rows
INSERT INTO "shop"."orders" ("id", "re""gi`on", "paid", "price", "exact", "ratio", "small", "raw", "day", "at", "seen", "updated", "span", "ref", "extra", "_connectord_synced_at") SELECT "id", "re""gi`on", "paid", "price", "exact", "ratio", "small", "raw", "day", "at", "seen", "updated", "span", "ref", "extra", "_connectord_synced_at" FROM "shop"."orders__g2";

-- create a staging table
CREATE TEMPORARY TABLE "_connectord_stage_0" ("_connectord_order" bigint, "id" bigint, "re""gi`on" text, "paid" boolean, "price" numeric, "exact" numeric, "ratio" double precision, "small" real, "raw" bytea, "day" date, "at" time, "seen" timestamp, "updated" timestamptz, "span" interval, "ref" uuid, "extra" jsonb, "_connectord_synced_at" timestamptz) ON COMMIT DELETE ROWS;

-- drop a staging table
DROP TABLE IF EXISTS "_connectord_stage_0";

-- fold, the last wins
DELETE FROM "_connectord_stage_0" WHERE "_connectord_order" IN (SELECT id FROM (SELECT "_connectord_order" AS id, row_number() OVER (PARTITION BY "id", "re""gi`on" ORDER BY "_connectord_order" DESC) AS nth FROM "_connectord_stage_0") AS ranked WHERE nth > 1);

-- fold, the first wins
DELETE FROM "_connectord_stage_0" WHERE "_connectord_order" IN (SELECT id FROM (SELECT "_connectord_order" AS id, row_number() OVER (PARTITION BY "id", "re""gi`on" ORDER BY "_connectord_order") AS nth FROM "_connectord_stage_0") AS ranked WHERE nth > 1);

-- merge over the index of the key
WITH w AS (INSERT INTO "shop"."orders" AS t ("id", "re""gi`on", "paid", "price", "exact", "ratio", "small", "raw", "day", "at", "seen", "updated", "span", "ref", "extra", "_connectord_synced_at") SELECT s."id", s."re""gi`on", s."paid", s."price", s."exact", s."ratio", s."small", s."raw", s."day", s."at", s."seen", s."updated", s."span", s."ref", s."extra", s."_connectord_synced_at" FROM "_connectord_stage_0" AS s ON CONFLICT ("id", "re""gi`on") DO UPDATE SET "paid" = excluded."paid", "price" = excluded."price", "exact" = excluded."exact", "ratio" = excluded."ratio", "small" = excluded."small", "raw" = excluded."raw", "day" = excluded."day", "at" = excluded."at", "seen" = excluded."seen", "updated" = excluded."updated", "span" = excluded."span", "ref" = excluded."ref", "extra" = excluded."extra", "_connectord_synced_at" = excluded."_connectord_synced_at" WHERE t."paid" IS DISTINCT FROM excluded."paid" OR (t."price", scale(t."price")) IS DISTINCT FROM (excluded."price", scale(excluded."price")) OR (t."exact", scale(t."exact")) IS DISTINCT FROM (excluded."exact", scale(excluded."exact")) OR t."ratio" IS DISTINCT FROM excluded."ratio" OR t."small" IS DISTINCT FROM excluded."small" OR t."raw" IS DISTINCT FROM excluded."raw" OR t."day" IS DISTINCT FROM excluded."day" OR t."at" IS DISTINCT FROM excluded."at" OR t."seen" IS DISTINCT FROM excluded."seen" OR t."updated" IS DISTINCT FROM excluded."updated" OR t."span"::text IS DISTINCT FROM excluded."span"::text OR t."ref" IS DISTINCT FROM excluded."ref" OR t."extra" IS DISTINCT FROM excluded."extra" RETURNING (xmax = 0) AS added) SELECT count(*) FILTER (WHERE added), count(*) FILTER (WHERE NOT added) FROM w;

-- insert what is missing over the index of the key
WITH w AS (INSERT INTO "shop"."orders" AS t ("id", "re""gi`on", "paid", "price", "exact", "ratio", "small", "raw", "day", "at", "seen", "updated", "span", "ref", "extra", "_connectord_synced_at") SELECT s."id", s."re""gi`on", s."paid", s."price", s."exact", s."ratio", s."small", s."raw", s."day", s."at", s."seen", s."updated", s."span", s."ref", s."extra", s."_connectord_synced_at" FROM "_connectord_stage_0" AS s ON CONFLICT ("id", "re""gi`on") DO NOTHING RETURNING (xmax = 0) AS added) SELECT count(*) FILTER (WHERE added), count(*) FILTER (WHERE NOT added) FROM w;

-- merge: rewrite what differs
UPDATE "shop"."orders" AS t SET "paid" = s."paid", "price" = s."price", "exact" = s."exact", "ratio" = s."ratio", "small" = s."small", "raw" = s."raw", "day" = s."day", "at" = s."at", "seen" = s."seen", "updated" = s."updated", "span" = s."span", "ref" = s."ref", "extra" = s."extra", "_connectord_synced_at" = s."_connectord_synced_at" FROM "_connectord_stage_0" AS s WHERE t."id" = s."id" AND t."re""gi`on" = s."re""gi`on" AND (t."paid" IS DISTINCT FROM s."paid" OR (t."price", scale(t."price")) IS DISTINCT FROM (s."price", scale(s."price")) OR (t."exact", scale(t."exact")) IS DISTINCT FROM (s."exact", scale(s."exact")) OR t."ratio" IS DISTINCT FROM s."ratio" OR t."small" IS DISTINCT FROM s."small" OR t."raw" IS DISTINCT FROM s."raw" OR t."day" IS DISTINCT FROM s."day" OR t."at" IS DISTINCT FROM s."at" OR t."seen" IS DISTINCT FROM s."seen" OR t."updated" IS DISTINCT FROM s."updated" OR t."span"::text IS DISTINCT FROM s."span"::text OR t."ref" IS DISTINCT FROM s."ref" OR t."extra" IS DISTINCT FROM s."extra");

-- merge: insert what is missing, a part
INSERT INTO "shop"."orders" ("id", "re""gi`on", "paid", "price", "exact", "ratio", "small", "raw", "day", "at", "seen", "updated", "span", "ref", "extra", "_connectord_synced_at") SELECT s."id", s."re""gi`on", s."paid", s."price", s."exact", s."ratio", s."small", s."raw", s."day", s."at", s."seen", s."updated", s."span", s."ref", s."extra", s."_connectord_synced_at" FROM "_connectord_stage_0" AS s WHERE NOT EXISTS (SELECT 1 FROM "shop"."orders" AS t WHERE t."id" = s."id" AND t."re""gi`on" = s."re""gi`on") AND s."_connectord_order" BETWEEN 5 AND 9 ORDER BY s."_connectord_order";

-- delete what is missing
DELETE FROM "shop"."orders" AS t WHERE NOT EXISTS (SELECT 1 FROM "_connectord_stage_0" AS s WHERE t."id" = s."id" AND t."re""gi`on" = s."re""gi`on");

-- rewrite in a table of others, a part
UPDATE "shop"."orders" AS t SET "mood" = CAST(s."mood" AS "Mood"), "doc" = s."doc" FROM "_connectord_stage_0" AS s WHERE t."id" = s."id" AND (CAST(t."mood" AS text) IS DISTINCT FROM CAST(s."mood" AS text) OR CAST(t."doc" AS text) IS DISTINCT FROM CAST(s."doc" AS text)) AND s."_connectord_order" BETWEEN 5 AND 9;

-- insert into a table of others, a part
INSERT INTO "shop"."orders" ("id", "mood", "doc") SELECT s."id", CAST(s."mood" AS "Mood"), s."doc" FROM "_connectord_stage_0" AS s WHERE s."_connectord_order" BETWEEN 5 AND 9 ORDER BY s."_connectord_order";

-- number the rows of a generation
INSERT INTO "_connectord_stage_0" ("_connectord_order", "id", "mood", "doc") SELECT row_number() OVER () - 1, "id", "mood", "doc" FROM "shop"."orders__g2";

-- index the numbers
CREATE INDEX ON "_connectord_stage_0" ("_connectord_order");

-- what a staged row was
SELECT CAST(s."id" AS text), CAST(s."mood" AS text), CAST(s."doc" AS text) FROM "_connectord_stage_0" AS s WHERE s."_connectord_order" BETWEEN 7 AND 7;

-- insert two rows
INSERT INTO "shop"."orders" ("id", "re""gi`on", "paid") VALUES ($1, $2, $3), ($4, $5, $6);

-- insert two rows that share a value
INSERT INTO "shop"."orders" ("id", "re""gi`on", "paid") VALUES ($2, $1, $3), ($4, $1, $5);

-- create the state table
CREATE TABLE IF NOT EXISTS "shop"."_connectord_state" ("pipeline" text NOT NULL, "stream" text NOT NULL, "part" text NOT NULL, "generation" bigint, "live_generation" bigint, "fence" bigint, "seq" bigint, "position" text, "counters" text, "schema_version" bigint, "run_id" text, "committed_at" text, "wanted_name" text, "target" text, "identity" text, "schema_hash" text, "columns" text, "garbage" text, PRIMARY KEY ("pipeline", "stream", "part"));

-- create the quarantine
CREATE TABLE IF NOT EXISTS "shop"."_connectord_quarantine" ("pipeline" text, "stream" text, "generation" bigint, "seq" bigint, "ordinal" bigint, "level" text, "column" text, "reason" text, "detail" text, "key" text, "position" text, "raw" text, "encoding" text, "run_id" text, "at" text);

-- read the state
SELECT "pipeline", "stream", "part", "generation", "live_generation", "fence", "seq", "position", "counters", "schema_version", "run_id", "committed_at", "wanted_name", "target", "identity", "schema_hash", "columns", "garbage" FROM "shop"."_connectord_state" WHERE "pipeline" = $1 FOR UPDATE;

-- whose table is it
SELECT "pipeline", "stream", "target" FROM "shop"."_connectord_state";

-- commit the state
UPDATE "shop"."_connectord_state" SET "generation" = $1, "live_generation" = $2, "fence" = $3, "seq" = $4, "position" = $5, "counters" = $6, "schema_version" = $7, "run_id" = $8, "committed_at" = $9, "wanted_name" = $10, "target" = $11, "identity" = $12, "schema_hash" = $13, "columns" = $14, "garbage" = $15 WHERE "pipeline" = $16 AND "stream" = $17 AND "part" = $18 AND "fence" = $19 AND "seq" = $20;

-- forget the state
DELETE FROM "shop"."_connectord_state" WHERE "pipeline" = $1 AND "stream" = $2;

-- forget the quarantine
DELETE FROM "shop"."_connectord_quarantine" WHERE "pipeline" = $1 AND "stream" = $2;

-- scan: everything, without a key (0 parameters)
SELECT "id", "na""me", "updated" FROM "shop"."orders";

-- scan: everything by key (0 parameters)
SELECT "id", "na""me", "updated", "id", "na""me" FROM "shop"."orders" ORDER BY "id", "na""me";

-- scan: behind a key (2 parameters)
SELECT "id", "na""me", "updated", "id", "na""me" FROM "shop"."orders" WHERE ("id", "na""me") > ($1, $2) ORDER BY "id", "na""me";

-- scan: no cursor, behind a key (2 parameters)
SELECT "id", "na""me", "updated", "id", "na""me" FROM "shop"."orders" WHERE "updated" IS NULL AND ("id", "na""me") > ($1, $2) ORDER BY "id", "na""me";

-- scan: first run (1 parameters)
SELECT "id", "na""me", "updated", "id", "na""me", "updated" FROM "shop"."orders" WHERE "updated" <= $1 ORDER BY "updated", "id", "na""me";

-- scan: a window (2 parameters)
SELECT "id", "na""me", "updated", "id", "na""me", "updated" FROM "shop"."orders" WHERE "updated" >= $1 AND "updated" <= $2 ORDER BY "updated", "id", "na""me";

-- scan: behind cursor and key (4 parameters)
SELECT "id", "na""me", "updated", "id", "na""me", "updated" FROM "shop"."orders" WHERE "updated" <= $1 AND ("updated", "id", "na""me") > ($2, $3, $4) ORDER BY "updated", "id", "na""me";

-- scan: behind a cursor, without a key (2 parameters)
SELECT "id", "na""me", "updated", "updated" FROM "shop"."orders" WHERE "updated" <= $1 AND ("updated") > ($2) ORDER BY "updated";

-- count a window
SELECT count(*) FROM "shop"."orders" WHERE "updated" <= $1 AND ("updated") > ($2);

-- the greatest time
SELECT max("updated") FROM "shop"."orders";

-- the greatest number
SELECT max("id") FROM "shop"."orders" WHERE "id" <= 9223372036854775807;

