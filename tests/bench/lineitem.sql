-- The shape of TPC-H's lineitem, filled with values that look like it; :rows is replaced.
create table lineitem (
  l_orderkey integer, l_partkey integer, l_suppkey integer, l_linenumber integer,
  l_quantity decimal(15,2), l_extendedprice decimal(15,2), l_discount decimal(15,2), l_tax decimal(15,2),
  l_returnflag char(1), l_linestatus char(1),
  l_shipdate date, l_commitdate date, l_receiptdate date,
  l_shipinstruct char(25), l_shipmode char(10), l_comment varchar(44));
with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < :rows)
insert into lineitem
select i / 4 * 8 + 1, i * 7919 % 200000 + 1, i * 104729 % 10000 + 1, i % 4 + 1,
       i * 31 % 50 + 1, (i * 7919 % 10000000 + 90000) / 100.0, i % 11 / 100.0, i % 9 / 100.0,
       substr('RAN', i % 3 + 1, 1), substr('OF', i % 2 + 1, 1),
       date('1992-01-02', (i * 37 % 2500) || ' days'), date('1992-01-31', (i * 41 % 2500) || ' days'),
       date('1992-01-05', (i * 43 % 2500) || ' days'),
       substr('DELIVER IN PERSON        COLLECT COD              NONE                     TAKE BACK RETURN         ', i % 4 * 25 + 1, 25),
       substr('REG AIR   AIR       RAIL      SHIP      TRUCK     MAIL      FOB       ', i % 7 * 10 + 1, 10),
       substr('carefully final deposits detect slyly above the regular ironic requests among the quick asymptotes', i * 13 % 40 + 1, 10 + i % 35)
from n;
