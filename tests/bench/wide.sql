-- Rows of about a kilobyte: a document, a long text with tabs, a time, an array.
create table wide (id bigint, doc jsonb, note text, seen_at timestamptz, tags text[]);
insert into wide
select i, jsonb_build_object('name', 'customer ' || i, 'score', i * 0.37, 'active', i % 3 = 0,
                             'address', jsonb_build_object('street', repeat('Main street ', 1 + i % 9), 'zip', lpad((i % 99999)::text, 5, '0')),
                             'orders', jsonb_build_array(i % 7, i % 11, null, 'b"' || i % 13),
                             'about', repeat('Has been with us since "' || i % 40 || '", likes tea. ', 9)),
       repeat(E'some\tlong text about this customer, number ' || i || ', ', 9), timestamptz '2024-01-01 00:00Z' + i * interval '1 second',
       array['a' || i % 7, 'b,' || i % 11]
from generate_series(1, :rows) i;
