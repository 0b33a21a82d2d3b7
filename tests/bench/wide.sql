-- Rows of about a kilobyte: a document, a long text with tabs, a time.
create table wide (id bigint primary key, doc jsonb, note text, seen_at timestamptz);
insert into wide
select i, jsonb_build_object('name', 'customer ' || i, 'tags', jsonb_build_array('a' || i % 7, 'b"' || i % 11, null),
                             'score', i * 0.37, 'address', jsonb_build_object('street', repeat('Main street ', 1 + i % 9),
                             'zip', lpad((i % 99999)::text, 5, '0')), 'history', (select jsonb_agg(i % (n + 3)) from generate_series(1, 60) n)),
       repeat(E'some\tlong text about this customer, number ' || i || ', ', 9), timestamptz '2024-01-01 00:00Z' + i * interval '1 second'
from generate_series(1, :rows) i;
