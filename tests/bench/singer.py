"""Measures of connectors as Singer programs."""
import json
import shlex
import subprocess

from measure import BINARY, timed

import databases


class Singer:
    """Mixed into Bench behind Relational: needs its servers and data."""

    def postgres_tap(self):
        """Rows as RECORD lines to nowhere, against the rows as JSON that the server itself makes."""
        source = self.postgres_lineitem()
        config = self.folder / "tap.json"
        config.write_text(json.dumps(databases.postgres_config(source)))

        def ours():
            with open("/dev/null", "w", encoding="ascii") as nowhere:
                return timed([BINARY, "source", "postgres", "--config", config], stdout=nowhere, stderr=subprocess.DEVNULL)

        psql = shlex.join(str(w) for w in self.psql(source, "copy (select row_to_json(t) from lineitem t) to stdout"))
        self.ratio("PostgreSQL as a tap -> /dev/null", ours, lambda: timed(f"{psql} >/dev/null"), 1.0,
                   "psql COPY of row_to_json")
