"""Values that are lost or bent elsewhere, for each source, and what they must be afterwards.

A value is a literal of the source's SQL. Every destination must hold it exactly, except those named
beside it: these may put the cell into quarantine, with its original. NOWHERE = every one may.
"""
import datetime
import decimal
import json
import re
import struct

NOT_POSTGRES, NOT_MYSQL, NOT_SQLITE = {"postgres"}, {"mysql"}, {"sqlite"}
SERVERS = {"postgres", "mysql"}
NOWHERE = {"postgres", "mysql", "sqlite"}

LONG = "1234567890" * 100  # 1,000 digits
TINY = "0." + "0" * 399 + "1"

# type of the column -> (how two texts of it are compared, the values)
POSTGRES = {
    "boolean": ("bool", ["true", "false"]),
    "smallint": ("int", ["32767", "-32768"]),
    "bigint": ("int", ["9223372036854775807", "-9223372036854775808", "0", "9007199254740993"]),
    "numeric": ("decimal", ["0", "0.1", "1.10", f"{LONG}", f"-{LONG}.{LONG}", TINY, "12345678901234567890.12345678901234567890",
                            ("'NaN'", NOT_MYSQL), ("'Infinity'", NOT_MYSQL), ("'-Infinity'", NOT_MYSQL)]),
    "numeric(38,10)": ("decimal", ["9999999999999999999999999999.9999999999", "-0.0000000001", ("'NaN'", NOT_MYSQL)]),
    "numeric(4,-2)": ("decimal", ["999900", "-100", "0"]),
    "numeric(2,5)": ("decimal", ["0.00099", "-0.00001"]),
    "numeric(70,5)": ("decimal", ["9" * 65 + ".12345", "1"]),
    "real": ("float32", ["0.1", "'1e-45'", "3.4028235e38", "-0.5", "'-0'", ("'NaN'", {"mysql", "sqlite"}),
                         ("'Infinity'", NOT_MYSQL), ("'-Infinity'", NOT_MYSQL)]),
    "double precision": ("float", ["0.1", "'5e-324'", "1.7976931348623157e308", "9007199254740993", "0.30000000000000004",
                                   "'-0'", ("'NaN'", {"mysql", "sqlite"}), ("'Infinity'", NOT_MYSQL)]),
    "text": ("text", ["''", "' '", "'a''b\"c\\d'", "E'tab\\tline\\nreturn\\r'", "'\U0001f600 漢字 €'", "E'\\u0001\\u007f'",
                      "'\u202eabc\u202c'", "'e\u0301'", "repeat('x', 100000)", "'\\N'", "'NULL'", "'O''Brien; drop table t'"]),
    "varchar(300)": ("text", ["repeat('漢', 300)"]),
    "char(5)": ("padded", ["'ab'", "''"]),
    "\"char\"": ("text", ["'a'"]),
    "name": ("text", ["'pg_class'"]),
    "bytea": ("bytes", ["''", "'\\x00'", "'\\x00ff5c27220a0d1a'", "decode(repeat('ff', 70000), 'hex')"]),
    "date": ("date", ["'2024-02-29'", "'0001-01-01'", "'1582-10-10'", "'9999-12-31'", ("'0001-12-31 BC'", NOT_MYSQL),
                      ("'4713-01-01 BC'", NOT_MYSQL), ("'10000-01-01'", NOT_MYSQL), ("'5874897-12-31'", NOT_MYSQL),
                      ("'infinity'", NOT_MYSQL), ("'-infinity'", NOT_MYSQL)]),
    "time": ("time", ["'00:00:00'", "'23:59:59.999999'", ("'24:00:00'", {"mysql", "sqlite"})]),
    "timetz": ("text", ["'12:34:56.789+05:30'", "'00:00:00-15:59'"]),
    "timestamp": ("timestamp", ["'2024-03-31 02:30:00'", "'1970-01-01 00:00:00.000001'", "'1969-12-31 23:59:59.999999'",
                                "'9999-12-31 23:59:59.999999'", "'0001-01-01 00:00:00'", ("'4713-01-01 00:00:00 BC'", NOT_MYSQL),
                                ("'294246-12-31 23:59:59.999999'", NOT_MYSQL),
                                ("'294276-12-31 23:59:59.999999'", NOWHERE), ("'infinity'", NOT_MYSQL),
                                ("'-infinity'", NOT_MYSQL)]),
    "timestamptz": ("timestamp", ["'2024-03-31 02:30:00+01'", "'2024-10-27 02:30:00 Europe/Berlin'", "'1900-01-01 00:00:00-15:59'",
                                  "'2016-12-31 23:59:60Z'", ("'4713-01-01 00:00:00+00 BC'", NOT_MYSQL), ("'infinity'", NOT_MYSQL),
                                  ("'294276-12-31 23:59:59.999999Z'", NOWHERE)]),
    "interval": ("interval", ["'1 year 2 months 3 days 04:05:06.789'", "'-1 month +3 days'", "'0'", "'-00:00:00.000001'",
                              "'178000000 years'"]),
    "uuid": ("text", ["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "'00000000-0000-0000-0000-000000000000'"]),
    "jsonb": ("json", ["'{}'", "'[]'", "'null'", "'\"\"'", "'{\"a\": 1.10, \"b\": [9007199254740993, 1e2]}'",
                       "'{\"quote\": \"it''s \\\\ \\\"x\\\"\"}'", "'[\"a,b\", \"c\", null]'", "'{\"\": {\"é\": \"\U0001f600\"}}'",
                       "('[' || repeat('1,', 50000) || '1]')::jsonb", "'1.7976931348623157e309'"]),
    "json": ("json", ["'{\"a\":1.10,\"b\": 1e400 }'", "'  [1 ,2]'", ("'{\"a\":\"\\u0000\"}'", NOWHERE)]),
    "int[]": ("array", ["'{}'", "'{1,NULL,-3}'", "'{{1,2},{3,4}}'", "'[0:1]={5,6}'"]),
    "text[]": ("array", ["'{\"a,b\",c,NULL,\"NULL\",\"\"}'", "'{\"\\\"q\\\"\",\"\\\\\"}'"]),
    "int4range": ("text", ["'[1,10)'", "'empty'", "'(,5)'"]),
    "inet": ("inet", ["'192.168.0.1/24'", "'::1'"]), "cidr": ("text", ["'10.0.0.0/8'"]),
    "macaddr": ("text", ["'08:00:2b:01:02:03'"]), "bit(3)": ("text", ["B'101'"]), "varbit": ("text", ["B''", "B'1'"]),
    "point": ("text", ["'(1.5,-2)'"]), "tsvector": ("text", ["'a:1 b:2'"]), "money": ("text", ["'1234.56'"]),
    "xml": ("text", ["'<a>&amp;</a>'"]), "oid": ("int", ["4294967295"]), "pg_lsn": ("text", ["'16/B374D848'"]),
}

MYSQL = {
    "tinyint(1)": ("flag", ["0", "1", ("-128", NOWHERE), ("127", NOWHERE)]),
    "bigint": ("int", ["9223372036854775807", "-9223372036854775808"]),
    "bigint unsigned": ("decimal", ["18446744073709551615", "0", "9223372036854775808"]),
    "int unsigned zerofill": ("int", ["4294967295", "7"]),
    "decimal(65,30)": ("decimal", ["9" * 35 + "." + "9" * 30, "-0." + "0" * 29 + "1"]),
    "decimal(10,0)": ("decimal", ["9999999999"]),
    "float": ("float32", ["0.1", "3.40282e38", "1.17549e-38"]),
    "double": ("float", ["0.1", "1.7976931348623157e308", "2.2250738585072014e-308", "-0.5"]),
    "varchar(300)": ("text", ["''", "' trailing '", "repeat('漢', 300)", "'a''b\"c\\\\d'", "'\U0001f600 €'",
                              ("concat('a', char(0), 'b')", NOT_POSTGRES)]),
    "varchar(100) character set latin1": ("text", ["'caf\u00e9'"]),
    "char(5)": ("text", ["'ab'", "''"]),
    "longtext": ("text", ["repeat('x', 100000)", "'tab\\tline\\nreturn\\r'", "'NULL'", "'\\\\N'"]),
    "longblob": ("bytes", ["''", "x'00'", "x'00ff5c27220a0d1a'", "repeat(x'ff', 70000)"]),
    "binary(4)": ("bytes", ["x'01'"]),
    "bit(10)": ("int", ["b'1010101010'", "b'0'"]),
    "date": ("date", ["'2024-02-29'", "'1000-01-01'", "'9999-12-31'", ("'0000-00-00'", NOWHERE), ("'2024-00-00'", NOWHERE)]),
    "time(6)": ("time", ["'00:00:00'", "'23:59:59.999999'", ("'838:59:59.999999'", NOWHERE), ("'-01:00:00'", NOWHERE)]),
    "datetime(6)": ("timestamp", ["'2024-03-31 02:30:00'", "'9999-12-31 23:59:59.999999'", "'1000-01-01 00:00:00.000001'",
                                  ("'0000-00-00 00:00:00'", NOWHERE)]),
    "timestamp(6) null": ("timestamp", ["'2024-03-31 02:30:00'", "'1970-01-01 00:00:01'", ("'0000-00-00 00:00:00'", NOWHERE)]),
    "year": ("int", ["2024", "1901"]),
    "json": ("json", ["'{\"a\": 1.10, \"b\": [9007199254740993, 1e2]}'", "'[]'", "'null'"]),
    "enum('a','b''c','')": ("text", ["'a'", "'b''c'", "''"]), "set('x','y')": ("text", ["'x,y'", "''"]),
    "uuid": ("text", ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"]), "inet6": ("text", ["'::1'"]),
}

SQLITE = {
    "integer": ("int", ["9223372036854775807", "-9223372036854775808"]),
    "boolean": ("bool", ["1", "0", ("2", NOWHERE)]),
    "decimal(20,5)": ("decimal", ["'123456789012345.12345'", ("'many'", NOWHERE)]),
    "double": ("float", ["0.1", "1.7976931348623157e308", "5e-324", ("9e999", NOT_MYSQL), ("-9e999", NOT_MYSQL)]),
    "text": ("text", ["''", "'a''b\"c\\d'", "'\U0001f600 漢字 €'", ("'a' || char(0) || 'b'", NOT_POSTGRES),
                      ("cast(x'ff41' as text)", NOWHERE), "char(9, 10, 13)"]),
    "blob": ("bytes", ["x''", "x'00ff5c27'"]),
    "date": ("date", ["'2024-02-29'", ("'-0044-03-15'", NOT_MYSQL), ("'2024-02-30'", NOWHERE)]),
    "timestamp": ("timestamp", ["'2024-03-31 02:30:00.5'", "'1969-12-31T23:59:59.999999'", ("'yesterday'", NOWHERE),
                                ("'2024-01-01 00:00:00.123456789'", NOWHERE)]),
    "time": ("time", ["'23:59:59.999999'", ("'noon'", NOWHERE)]),
    "uuid": ("text", ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"]),
    "json": ("json", ["'{\"a\": 1.10}'", "'[9007199254740993]'", ("'{broken'", NOWHERE)]),
}

SPECIAL = {"postgres": POSTGRES, "mysql": MYSQL, "sqlite": SQLITE}


# -------------------------------------------------------------- one form for what means the same

def decimals(text):
    text = str(text)
    if text.lower() in ("nan", "infinity", "-infinity", "inf", "-inf"):
        return text.lower().replace("inity", "")
    return decimal.Decimal(text)  # exact, whatever its length


def floats(text):
    """The bits count: -0 is not 0, and NaN is itself."""
    return repr(float(text))


def floats32(text):
    """Of 32 bits, in whatever form they are written."""
    return struct.pack("f", float(text))


def arrays(text):
    """As JSON; where one counts from another number than 1, that is beside the values."""
    value = json.loads(text)
    return value["values"] if isinstance(value, dict) else value


def jsons(text):
    return json.loads(text, parse_float=decimal.Decimal, parse_int=decimal.Decimal,
                      object_pairs_hook=lambda pairs: tuple(sorted(dict(pairs).items())))


def times(text):
    text = str(text).replace(" BC", "~").replace("T", " ").removesuffix("Z")
    text = re.sub(r"\+00(:?00)?(?=~?$)", "", text)
    before_christ = text.endswith("~")
    text = text.rstrip("~")
    text = re.sub(r"(\.\d*?)0+$", r"\1", text).removesuffix(".")
    found = re.match(r"([+-]?)(\d+)(-\d\d-\d\d.*)", text)
    if not found:
        return text
    year = int(found[2]) * (-1 if found[1] == "-" else 1)
    return (1 - year if before_christ else year), found[3]


def clock(text):
    if isinstance(text, datetime.timedelta):
        text = str(text)
    return re.sub(r"(\.\d*?)0+$", r"\1", str(text)).removesuffix(".")


SAME = {"flag": lambda v: int({"true": 1, "false": 0}.get(str(v), v)), "bool": lambda v: str(v).lower() in ("true", "t", "1"), "int": int, "decimal": decimals, "float": floats, "float32": floats32,
        "padded": str.rstrip, "inet": lambda v: v.removesuffix("/128").removesuffix("/32"),
        "text": lambda v: v, "bytes": lambda v: v, "date": times, "timestamp": times, "time": clock, "interval": str,
        "json": jsons, "array": arrays}
