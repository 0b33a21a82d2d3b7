-- every operator (10 parameters)
SELECT `id`, `na"me`, `updated` FROM `shop`.`orders` WHERE `c``o"l` = ? AND `c` <> ? AND `c` < ? AND `c` <= ? AND `c` > ? AND `c` >= ? AND `s` IN (?, ?, ?) AND `s` NOT IN (?) AND `j` IS NULL AND `d` IS NOT NULL;

-- every type (11 parameters)
SELECT `id`, `na"me`, `updated` FROM `shop`.`orders` WHERE `c` = ? AND `c` = ? AND `c` = ? AND `c` = ? AND `c` = ? AND `c` = ? AND `c` = ? AND `c` = ? AND `c` = ? AND `c` = ? AND `c` = ?;

-- a filter in a window that is continued (7 parameters)
SELECT `id`, `na"me`, `updated`, `id`, `na"me`, `updated` FROM `shop`.`orders` WHERE `c``o"l` = ? AND `updated` <= ? AND (`updated` > ? OR (`updated` = ? AND (`id` > ? OR (`id` = ? AND (`na"me` > ?))))) ORDER BY `updated`, `id`, `na"me`;

-- the same, counted
SELECT count(*) FROM `shop`.`orders` WHERE `c``o"l` = ? AND `updated` <= ? AND (`updated` > ? OR (`updated` = ? AND (`id` > ? OR (`id` = ? AND (`na"me` > ?)))));

-- the greatest cursor, whatever the filter
SELECT max(`updated`) FROM `shop`.`orders`;

-- a query (0 parameters)
SELECT `id`, `na"me`, `updated` FROM (SELECT 1 AS id -- all of them
) AS q;

-- a query and a filter (0 parameters)
SELECT `id`, `na"me`, `updated` FROM (SELECT 1 AS id -- all of them
) AS q WHERE `j` IS NULL;

-- casts (0 parameters)
SELECT `id`, `na"me`::text, CAST(`updated` AS char), `id`::text, `na"me` FROM `shop`.`orders` ORDER BY `id`, `na"me`;

