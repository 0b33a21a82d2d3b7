-- create
CREATE TABLE `shop`.`orders` (`id` bigint, `re"gi``on` varchar(758) CHARACTER SET utf8mb4 /*M!100200 COLLATE utf8mb4_nopad_bin *//*!80017 COLLATE utf8mb4_0900_bin */, `paid` tinyint(1), `price` decimal(65,2), `exact` longtext CHARACTER SET utf8mb4, `ratio` double, `small` float, `raw` longblob, `day` date, `at` time(6), `seen` datetime(6), `updated` datetime(6), `span` longtext CHARACTER SET utf8mb4, `ref` char(36) CHARACTER SET ascii, `extra` json, `_connectord_synced_at` datetime(6));

-- create with its key
CREATE TABLE IF NOT EXISTS `shop`.`orders` (`id` bigint, `re"gi``on` varchar(758) CHARACTER SET utf8mb4 /*M!100200 COLLATE utf8mb4_nopad_bin *//*!80017 COLLATE utf8mb4_0900_bin */, `paid` tinyint(1), `price` decimal(65,2), `exact` longtext CHARACTER SET utf8mb4, `ratio` double, `small` float, `raw` longblob, `day` date, `at` time(6), `seen` datetime(6), `updated` datetime(6), `span` longtext CHARACTER SET utf8mb4, `ref` char(36) CHARACTER SET ascii, `extra` json, `_connectord_synced_at` datetime(6), UNIQUE INDEX `_connectord_key_1` (`id`, `re"gi``on`));

-- index the key
CREATE UNIQUE INDEX `_connectord_key_1` ON `shop`.`orders` (`id`, `re"gi``on`);

-- drop the index
DROP INDEX `_connectord_key_1` ON `shop`.`orders`;

-- add a column
ALTER TABLE `shop`.`orders` ADD COLUMN `note` longtext CHARACTER SET utf8mb4;

-- fill columns
UPDATE `shop`.`orders` AS t JOIN `_connectord_older` AS s SET t.`note` = s.`note`, t.`grade` = s.`grade`;

-- rename a column
ALTER TABLE `shop`.`orders` RENAME COLUMN `memo` TO `note`;

-- widen a column
ALTER TABLE `shop`.`orders` MODIFY COLUMN `note` longtext CHARACTER SET utf8mb4;

-- widen an instant to text
ALTER TABLE `shop`.`orders` MODIFY COLUMN `note` longtext CHARACTER SET utf8mb4;

-- and write it as we do
UPDATE `shop`.`orders` SET `note` = concat(replace(trim(TRAILING '.' FROM trim(TRAILING '0' FROM `note`)), ' ', 'T'), 'Z');

-- drop
DROP TABLE IF EXISTS `shop`.`orders`;

-- rename
ALTER TABLE `shop`.`orders__g2` RENAME TO `shop`.`orders`;

-- exchange
RENAME TABLE `shop`.`orders` TO `shop`.`orders__g1`, `shop`.`orders__g2` TO `shop`.`orders`;

-- delete all
DELETE FROM `shop`.`orders`;

-- count, default schema
SELECT count(*) FROM `or"ders`;

-- count repeated keys
SELECT count(*) FROM (SELECT 1 AS one FROM `shop`.`orders` GROUP BY `id`, `re"gi``on` HAVING count(*) > 1) AS repeated;

-- copy all rows
INSERT INTO `shop`.`orders` (`id`, `re"gi``on`, `paid`, `price`, `exact`, `ratio`, `small`, `raw`, `day`, `at`, `seen`, `updated`, `span`, `ref`, `extra`, `_connectord_synced_at`) SELECT `id`, `re"gi``on`, `paid`, `price`, `exact`, `ratio`, `small`, `raw`, `day`, `at`, `seen`, `updated`, `span`, `ref`, `extra`, `_connectord_synced_at` FROM `shop`.`orders__g2`;

-- create a staging table
CREATE TEMPORARY TABLE `_connectord_stage_0` (`_connectord_order` bigint PRIMARY KEY, `id` bigint, `re"gi``on` varchar(758) CHARACTER SET utf8mb4 /*M!100200 COLLATE utf8mb4_nopad_bin *//*!80017 COLLATE utf8mb4_0900_bin */, `paid` tinyint(1), `price` decimal(65,2), `exact` longtext CHARACTER SET utf8mb4, `ratio` double, `small` float, `raw` longblob, `day` date, `at` time(6), `seen` datetime(6), `updated` datetime(6), `span` longtext CHARACTER SET utf8mb4, `ref` char(36) CHARACTER SET ascii, `extra` json, `_connectord_synced_at` datetime(6));

-- drop a staging table
DROP TEMPORARY TABLE IF EXISTS `_connectord_stage_0`;

-- fold, note the first of each key
CREATE TEMPORARY TABLE `_connectord_kept` (kept bigint PRIMARY KEY) SELECT min(`_connectord_order`) AS kept FROM `_connectord_stage_0` GROUP BY `id`, `re"gi``on`;

-- fold, delete the others
DELETE s FROM `_connectord_stage_0` AS s LEFT JOIN `_connectord_kept` AS k ON k.kept = s.`_connectord_order` WHERE k.kept IS NULL;

-- merge: rewrite what differs
UPDATE `shop`.`orders` AS t JOIN `_connectord_stage_0` AS s ON t.`id` = s.`id` AND t.`re"gi``on` = s.`re"gi``on` SET t.`paid` = s.`paid`, t.`price` = s.`price`, t.`exact` = s.`exact`, t.`ratio` = s.`ratio`, t.`small` = s.`small`, t.`raw` = s.`raw`, t.`day` = s.`day`, t.`at` = s.`at`, t.`seen` = s.`seen`, t.`updated` = s.`updated`, t.`span` = s.`span`, t.`ref` = s.`ref`, t.`extra` = s.`extra`, t.`_connectord_synced_at` = s.`_connectord_synced_at` WHERE (NOT (t.`paid` <=> s.`paid`) OR NOT (CAST(CONVERT(t.`price` USING utf8mb4) AS BINARY) <=> CAST(CONVERT(s.`price` USING utf8mb4) AS BINARY)) OR NOT (CAST(CONVERT(t.`exact` USING utf8mb4) AS BINARY) <=> CAST(CONVERT(s.`exact` USING utf8mb4) AS BINARY)) OR NOT (t.`ratio` <=> s.`ratio`) OR NOT (t.`small` <=> s.`small`) OR NOT (t.`raw` <=> s.`raw`) OR NOT (t.`day` <=> s.`day`) OR NOT (t.`at` <=> s.`at`) OR NOT (t.`seen` <=> s.`seen`) OR NOT (t.`updated` <=> s.`updated`) OR NOT (CAST(CONVERT(t.`span` USING utf8mb4) AS BINARY) <=> CAST(CONVERT(s.`span` USING utf8mb4) AS BINARY)) OR NOT (t.`ref` <=> s.`ref`) OR NOT (CAST(CONVERT(t.`extra` USING utf8mb4) AS BINARY) <=> CAST(CONVERT(s.`extra` USING utf8mb4) AS BINARY)));

-- merge: insert what is missing, a part
INSERT INTO `shop`.`orders` (`id`, `re"gi``on`, `paid`, `price`, `exact`, `ratio`, `small`, `raw`, `day`, `at`, `seen`, `updated`, `span`, `ref`, `extra`, `_connectord_synced_at`) SELECT s.`id`, s.`re"gi``on`, s.`paid`, s.`price`, s.`exact`, s.`ratio`, s.`small`, s.`raw`, s.`day`, s.`at`, s.`seen`, s.`updated`, s.`span`, s.`ref`, s.`extra`, s.`_connectord_synced_at` FROM `_connectord_stage_0` AS s WHERE NOT EXISTS (SELECT 1 FROM `shop`.`orders` AS t WHERE t.`id` = s.`id` AND t.`re"gi``on` = s.`re"gi``on`) AND s.`_connectord_order` BETWEEN 5 AND 9 ORDER BY s.`_connectord_order`;

-- delete what is missing
DELETE t FROM `shop`.`orders` AS t WHERE NOT EXISTS (SELECT 1 FROM `_connectord_stage_0` AS s WHERE t.`id` = s.`id` AND t.`re"gi``on` = s.`re"gi``on`);

-- rewrite in a table of others, a part
UPDATE `shop`.`orders` AS t JOIN `_connectord_stage_0` AS s ON t.`id` = s.`id` SET t.`mood` = CAST(s.`mood` AS "Mood"), t.`doc` = s.`doc` WHERE (NOT (CAST(t.`mood` AS text) <=> CAST(s.`mood` AS text)) OR NOT (CAST(t.`doc` AS text) <=> CAST(s.`doc` AS text))) AND s.`_connectord_order` BETWEEN 5 AND 9;

-- insert into a table of others, a part
INSERT INTO `shop`.`orders` (`id`, `mood`, `doc`) SELECT s.`id`, CAST(s.`mood` AS "Mood"), s.`doc` FROM `_connectord_stage_0` AS s WHERE s.`_connectord_order` BETWEEN 5 AND 9 ORDER BY s.`_connectord_order`;

-- number the rows of a generation
INSERT INTO `_connectord_stage_0` (`_connectord_order`, `id`, `mood`, `doc`) SELECT row_number() OVER () - 1, `id`, `mood`, `doc` FROM `shop`.`orders__g2`;

-- what a staged row was
SELECT s.`id`, s.`mood`, s.`doc` FROM `_connectord_stage_0` AS s WHERE s.`_connectord_order` BETWEEN 7 AND 7;

-- insert two rows
INSERT INTO `shop`.`orders` (`id`, `re"gi``on`, `paid`) VALUES (?, ?, ?), (?, ?, ?);

-- insert two rows that share a value
INSERT INTO `shop`.`orders` (`id`, `re"gi``on`, `paid`) VALUES (?, ?, ?), (?, ?, ?);

-- create the state table
CREATE TABLE IF NOT EXISTS `shop`.`_connectord_state` (`pipeline` varchar(256) CHARACTER SET utf8mb4 /*M!100200 COLLATE utf8mb4_nopad_bin *//*!80017 COLLATE utf8mb4_0900_bin */ NOT NULL, `stream` varchar(256) CHARACTER SET utf8mb4 /*M!100200 COLLATE utf8mb4_nopad_bin *//*!80017 COLLATE utf8mb4_0900_bin */ NOT NULL, `part` varchar(256) CHARACTER SET utf8mb4 /*M!100200 COLLATE utf8mb4_nopad_bin *//*!80017 COLLATE utf8mb4_0900_bin */ NOT NULL, `generation` bigint, `live_generation` bigint, `fence` bigint, `seq` bigint, `position` longtext CHARACTER SET utf8mb4, `counters` longtext CHARACTER SET utf8mb4, `schema_version` bigint, `run_id` longtext CHARACTER SET utf8mb4, `committed_at` longtext CHARACTER SET utf8mb4, `wanted_name` longtext CHARACTER SET utf8mb4, `target` longtext CHARACTER SET utf8mb4, `identity` longtext CHARACTER SET utf8mb4, `schema_hash` longtext CHARACTER SET utf8mb4, `columns` longtext CHARACTER SET utf8mb4, `garbage` longtext CHARACTER SET utf8mb4, PRIMARY KEY (`pipeline`, `stream`, `part`));

-- create the quarantine
CREATE TABLE IF NOT EXISTS `shop`.`_connectord_quarantine` (`pipeline` longtext CHARACTER SET utf8mb4, `stream` longtext CHARACTER SET utf8mb4, `generation` bigint, `seq` bigint, `ordinal` bigint, `level` longtext CHARACTER SET utf8mb4, `column` longtext CHARACTER SET utf8mb4, `reason` longtext CHARACTER SET utf8mb4, `detail` longtext CHARACTER SET utf8mb4, `key` longtext CHARACTER SET utf8mb4, `position` longtext CHARACTER SET utf8mb4, `raw` longtext CHARACTER SET utf8mb4, `encoding` longtext CHARACTER SET utf8mb4, `run_id` longtext CHARACTER SET utf8mb4, `at` longtext CHARACTER SET utf8mb4);

-- read the state
SELECT `pipeline`, `stream`, `part`, `generation`, `live_generation`, `fence`, `seq`, `position`, `counters`, `schema_version`, `run_id`, `committed_at`, `wanted_name`, `target`, `identity`, `schema_hash`, `columns`, `garbage` FROM `shop`.`_connectord_state` WHERE `pipeline` = ? FOR UPDATE;

-- whose table is it
SELECT `pipeline`, `stream`, `target` FROM `shop`.`_connectord_state`;

-- commit the state
UPDATE `shop`.`_connectord_state` SET `generation` = ?, `live_generation` = ?, `fence` = ?, `seq` = ?, `position` = ?, `counters` = ?, `schema_version` = ?, `run_id` = ?, `committed_at` = ?, `wanted_name` = ?, `target` = ?, `identity` = ?, `schema_hash` = ?, `columns` = ?, `garbage` = ? WHERE `pipeline` = ? AND `stream` = ? AND `part` = ? AND `fence` = ? AND `seq` = ?;

-- forget the state
DELETE FROM `shop`.`_connectord_state` WHERE `pipeline` = ? AND `stream` = ?;

-- forget the quarantine
DELETE FROM `shop`.`_connectord_quarantine` WHERE `pipeline` = ? AND `stream` = ?;

-- scan: everything, without a key (0 parameters)
SELECT `id`, `na"me`, `updated` FROM `shop`.`orders`;

-- scan: everything by key (0 parameters)
SELECT `id`, `na"me`, `updated`, `id`, `na"me` FROM `shop`.`orders` ORDER BY `id`, `na"me`;

-- scan: behind a key (3 parameters)
SELECT `id`, `na"me`, `updated`, `id`, `na"me` FROM `shop`.`orders` WHERE (`id` > ? OR (`id` = ? AND (`na"me` > ?))) ORDER BY `id`, `na"me`;

-- scan: no cursor, behind a key (3 parameters)
SELECT `id`, `na"me`, `updated`, `id`, `na"me` FROM `shop`.`orders` WHERE `updated` IS NULL AND (`id` > ? OR (`id` = ? AND (`na"me` > ?))) ORDER BY `id`, `na"me`;

-- scan: first run (1 parameters)
SELECT `id`, `na"me`, `updated`, `id`, `na"me`, `updated` FROM `shop`.`orders` WHERE `updated` <= ? ORDER BY `updated`, `id`, `na"me`;

-- scan: a window (2 parameters)
SELECT `id`, `na"me`, `updated`, `id`, `na"me`, `updated` FROM `shop`.`orders` WHERE `updated` >= ? AND `updated` <= ? ORDER BY `updated`, `id`, `na"me`;

-- scan: behind cursor and key (6 parameters)
SELECT `id`, `na"me`, `updated`, `id`, `na"me`, `updated` FROM `shop`.`orders` WHERE `updated` <= ? AND (`updated` > ? OR (`updated` = ? AND (`id` > ? OR (`id` = ? AND (`na"me` > ?))))) ORDER BY `updated`, `id`, `na"me`;

-- scan: behind a cursor, without a key (2 parameters)
SELECT `id`, `na"me`, `updated`, `updated` FROM `shop`.`orders` WHERE `updated` <= ? AND (`updated` > ?) ORDER BY `updated`;

-- count a window
SELECT count(*) FROM `shop`.`orders` WHERE `updated` <= ? AND (`updated` > ?);

-- the greatest time
SELECT max(`updated`) FROM `shop`.`orders`;

-- the greatest number
SELECT max(`id`) FROM `shop`.`orders` WHERE `id` <= 9223372036854775807;

