-- every operator (10 parameters)
SELECT "id", "na""me", "updated" FROM "orders" WHERE "c`o""l" = ?1 AND "c" <> ?2 AND "c" < ?3 AND "c" <= ?4 AND "c" > ?5 AND "c" >= ?6 AND CAST("s" AS TEXT) IN (?7, ?8, ?9) AND CAST("s" AS TEXT) NOT IN (?10) AND "j" IS NULL AND "d" IS NOT NULL;

-- every type (11 parameters)
SELECT "id", "na""me", "updated" FROM "orders" WHERE connectord_value("c", 'bool') = ?1 AND "c" = ?2 AND "c" = ?3 AND "c" = ?4 AND CAST("c" AS TEXT) = ?5 AND "c" = ?6 AND connectord_instant("c", 'date') = ?7 AND connectord_value("c", 'time') = ?8 AND connectord_instant("c", 'timestamp') = ?9 AND connectord_instant("c", 'timestamptz') = ?10 AND connectord_value("c", 'uuid') = ?11;

-- a filter in a window that is continued (6 parameters)
SELECT "id", "na""me", "updated", "id", "na""me", connectord_instant("updated", 'timestamptz') FROM "orders" WHERE "c`o""l" = ?1 AND ("updated" >= ?2 OR "updated" < '/') AND connectord_instant("updated", 'timestamptz') <= ?3 AND (connectord_instant("updated", 'timestamptz'), "id", "na""me") > (?4, ?5, ?6) ORDER BY connectord_instant("updated", 'timestamptz'), "id", "na""me";

-- the same, counted
SELECT count(*) FROM "orders" WHERE "c`o""l" = ?1 AND ("updated" >= ?2 OR "updated" < '/') AND connectord_instant("updated", 'timestamptz') <= ?3 AND (connectord_instant("updated", 'timestamptz'), "id", "na""me") > (?4, ?5, ?6);

-- the greatest cursor, whatever the filter
SELECT max(connectord_instant("updated", 'timestamptz')) FROM "orders" WHERE ("updated" >= ?1 OR "updated" < '/');

-- a query (0 parameters)
SELECT "id", "na""me", "updated" FROM (SELECT 1 AS id -- all of them
) AS q;

-- a query and a filter (0 parameters)
SELECT "id", "na""me", "updated" FROM (SELECT 1 AS id -- all of them
) AS q WHERE "j" IS NULL;

-- casts (0 parameters)
SELECT "id", "na""me"::text, CAST("updated" AS char), "id"::text, "na""me" FROM "orders" ORDER BY "id", "na""me";

