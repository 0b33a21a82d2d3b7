-- every operator (10 parameters)
SELECT "id", "na""me", "updated" FROM "shop"."orders" WHERE "c`o""l" = $1 AND "c" <> $2 AND "c" < $3 AND "c" <= $4 AND "c" > $5 AND "c" >= $6 AND "s" IN ($7, $8, $9) AND "s" NOT IN ($10) AND "j" IS NULL AND "d" IS NOT NULL;

-- every type (11 parameters)
SELECT "id", "na""me", "updated" FROM "shop"."orders" WHERE "c" = $1 AND "c" = $2 AND "c" = $3 AND "c" = $4 AND "c" = $5 AND "c" = $6 AND "c" = $7 AND "c" = $8 AND "c" = $9 AND "c" = $10 AND "c" = $11;

-- a filter in a window that is continued (5 parameters)
SELECT "id", "na""me", "updated", "id", "na""me", "updated" FROM "shop"."orders" WHERE "c`o""l" = $1 AND "updated" <= $2 AND ("updated", "id", "na""me") > ($3, $4, $5) ORDER BY "updated", "id", "na""me";

-- the same, counted
SELECT count(*) FROM "shop"."orders" WHERE "c`o""l" = $1 AND "updated" <= $2 AND ("updated", "id", "na""me") > ($3, $4, $5);

-- the greatest cursor, whatever the filter
SELECT max("updated") FROM "shop"."orders";

-- a query (0 parameters)
SELECT "id", "na""me", "updated" FROM (SELECT 1 AS id -- all of them
) AS q;

-- a query and a filter (0 parameters)
SELECT "id", "na""me", "updated" FROM (SELECT 1 AS id -- all of them
) AS q WHERE "j" IS NULL;

-- casts (0 parameters)
SELECT "id", "na""me"::text, CAST("updated" AS char), "id"::text, "na""me" FROM "shop"."orders" ORDER BY "id", "na""me";

