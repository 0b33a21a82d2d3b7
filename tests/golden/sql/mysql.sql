-- create
CREATE TABLE `shop`.`orders` (`id` bigint, `re"gi``on` varchar(255), `paid` tinyint(1), `price` decimal(65,2), `exact` longtext, `ratio` double, `small` float, `raw` longblob, `day` date, `at` time(6), `seen` datetime(6), `updated` datetime(6), `span` longtext, `ref` char(36), `extra` json, `_connectord_synced_at` datetime(6));

-- index the key
CREATE UNIQUE INDEX `_connectord_key_1` ON `shop`.`orders` (`id`, `re"gi``on`);

-- add a column
ALTER TABLE `shop`.`orders` ADD COLUMN `note` longtext;

-- widen a column
ALTER TABLE `shop`.`orders` MODIFY COLUMN `note` longtext;

-- drop
DROP TABLE IF EXISTS `shop`.`orders`;

-- rename
ALTER TABLE `shop`.`orders__g2` RENAME TO `shop`.`orders`;

-- delete all
DELETE FROM `shop`.`orders`;

-- count, default schema
SELECT count(*) FROM `or"ders`;

-- count repeated keys
SELECT count(*) FROM (SELECT 1 AS one FROM `shop`.`orders` GROUP BY `id`, `re"gi``on` HAVING count(*) > 1) AS repeated;

-- copy all rows
INSERT INTO `shop`.`orders` (`id`, `re"gi``on`, `paid`, `price`, `exact`, `ratio`, `small`, `raw`, `day`, `at`, `seen`, `updated`, `span`, `ref`, `extra`, `_connectord_synced_at`) SELECT `id`, `re"gi``on`, `paid`, `price`, `exact`, `ratio`, `small`, `raw`, `day`, `at`, `seen`, `updated`, `span`, `ref`, `extra`, `_connectord_synced_at` FROM `shop`.`orders__g2`;

-- create a staging table
CREATE TEMPORARY TABLE `_connectord_stage_0` (`_connectord_order` bigint PRIMARY KEY, `id` bigint, `re"gi``on` varchar(255), `paid` tinyint(1), `price` decimal(65,2), `exact` longtext, `ratio` double, `small` float, `raw` longblob, `day` date, `at` time(6), `seen` datetime(6), `updated` datetime(6), `span` longtext, `ref` char(36), `extra` json, `_connectord_synced_at` datetime(6));

-- fold, the last wins
DELETE FROM `_connectord_stage_0` WHERE `_connectord_order` NOT IN (SELECT keep FROM (SELECT max(`_connectord_order`) AS keep FROM `_connectord_stage_0` GROUP BY `id`, `re"gi``on`) AS kept);

-- fold, the first wins
DELETE FROM `_connectord_stage_0` WHERE `_connectord_order` NOT IN (SELECT keep FROM (SELECT min(`_connectord_order`) AS keep FROM `_connectord_stage_0` GROUP BY `id`, `re"gi``on`) AS kept);

-- merge: rewrite what differs
UPDATE `shop`.`orders` AS t JOIN `_connectord_stage_0` AS s ON t.`id` = s.`id` AND t.`re"gi``on` = s.`re"gi``on` SET t.`paid` = s.`paid`, t.`price` = s.`price`, t.`exact` = s.`exact`, t.`ratio` = s.`ratio`, t.`small` = s.`small`, t.`raw` = s.`raw`, t.`day` = s.`day`, t.`at` = s.`at`, t.`seen` = s.`seen`, t.`updated` = s.`updated`, t.`span` = s.`span`, t.`ref` = s.`ref`, t.`extra` = s.`extra`, t.`_connectord_synced_at` = s.`_connectord_synced_at` WHERE (NOT (t.`paid` <=> s.`paid`) OR NOT (t.`price` <=> s.`price`) OR NOT (t.`exact` <=> s.`exact`) OR NOT (t.`ratio` <=> s.`ratio`) OR NOT (t.`small` <=> s.`small`) OR NOT (t.`raw` <=> s.`raw`) OR NOT (t.`day` <=> s.`day`) OR NOT (t.`at` <=> s.`at`) OR NOT (t.`seen` <=> s.`seen`) OR NOT (t.`updated` <=> s.`updated`) OR NOT (t.`span` <=> s.`span`) OR NOT (t.`ref` <=> s.`ref`) OR NOT (t.`extra` <=> s.`extra`));

-- merge: insert what is missing
INSERT INTO `shop`.`orders` (`id`, `re"gi``on`, `paid`, `price`, `exact`, `ratio`, `small`, `raw`, `day`, `at`, `seen`, `updated`, `span`, `ref`, `extra`, `_connectord_synced_at`) SELECT s.`id`, s.`re"gi``on`, s.`paid`, s.`price`, s.`exact`, s.`ratio`, s.`small`, s.`raw`, s.`day`, s.`at`, s.`seen`, s.`updated`, s.`span`, s.`ref`, s.`extra`, s.`_connectord_synced_at` FROM `_connectord_stage_0` AS s WHERE NOT EXISTS (SELECT 1 FROM `shop`.`orders` AS t WHERE t.`id` = s.`id` AND t.`re"gi``on` = s.`re"gi``on`) ORDER BY s.`_connectord_order`;

-- insert two rows
INSERT INTO `shop`.`orders` (`id`, `re"gi``on`, `paid`) VALUES (?, ?, ?), (?, ?, ?);

-- insert two rows that share a value
INSERT INTO `shop`.`orders` (`id`, `re"gi``on`, `paid`) VALUES (?, ?, ?), (?, ?, ?);

-- create the state table
CREATE TABLE IF NOT EXISTS `shop`.`_connectord_state` (`pipeline` varchar(255) NOT NULL, `stream` varchar(255) NOT NULL, `part` varchar(255) NOT NULL, `generation` bigint, `live_generation` bigint, `fence` bigint, `seq` bigint, `position` longtext, `counters` longtext, `schema_version` bigint, `run_id` longtext, `committed_at` longtext, `wanted_name` longtext, `target` longtext, `identity` longtext, `schema_hash` longtext, `columns` longtext, `garbage` longtext, PRIMARY KEY (`pipeline`, `stream`, `part`));

-- create the quarantine
CREATE TABLE `shop`.`_connectord_quarantine` (`pipeline` longtext, `stream` longtext, `generation` bigint, `seq` bigint, `ordinal` bigint, `level` longtext, `column` longtext, `reason` longtext, `detail` longtext, `key` longtext, `position` longtext, `raw` longtext, `encoding` longtext, `run_id` longtext, `at` longtext);

-- read the state
SELECT `pipeline`, `stream`, `part`, `generation`, `live_generation`, `fence`, `seq`, `position`, `counters`, `schema_version`, `run_id`, `committed_at`, `wanted_name`, `target`, `identity`, `schema_hash`, `columns`, `garbage` FROM `shop`.`_connectord_state` WHERE `pipeline` = ?;

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

-- scan: behind a key (2 parameters)
SELECT `id`, `na"me`, `updated`, `id`, `na"me` FROM `shop`.`orders` WHERE (`id`, `na"me`) > (?, ?) ORDER BY `id`, `na"me`;

-- scan: no cursor, behind a key (2 parameters)
SELECT `id`, `na"me`, `updated`, `id`, `na"me` FROM `shop`.`orders` WHERE `updated` IS NULL AND (`id`, `na"me`) > (?, ?) ORDER BY `id`, `na"me`;

-- scan: first run (1 parameters)
SELECT `id`, `na"me`, `updated`, `id`, `na"me`, `updated` FROM `shop`.`orders` WHERE `updated` <= ? ORDER BY `updated`, `id`, `na"me`;

-- scan: a window (2 parameters)
SELECT `id`, `na"me`, `updated`, `id`, `na"me`, `updated` FROM `shop`.`orders` WHERE `updated` >= ? AND `updated` <= ? ORDER BY `updated`, `id`, `na"me`;

-- scan: behind cursor and key (4 parameters)
SELECT `id`, `na"me`, `updated`, `id`, `na"me`, `updated` FROM `shop`.`orders` WHERE `updated` <= ? AND (`updated`, `id`, `na"me`) > (?, ?, ?) ORDER BY `updated`, `id`, `na"me`;

-- scan: behind a cursor, without a key (2 parameters)
SELECT `id`, `na"me`, `updated`, `updated` FROM `shop`.`orders` WHERE `updated` <= ? AND (`updated`) > (?) ORDER BY `updated`;

-- count a window
SELECT count(*) FROM `shop`.`orders` WHERE `updated` <= ? AND (`updated`) > (?);

-- the greatest time
SELECT max(`updated`) FROM `shop`.`orders`;

-- the greatest number
SELECT max(`id`) FROM `shop`.`orders` WHERE `id` <= 9223372036854775807;

