#!/usr/bin/env python3
"""A client generated from the API description is built, strictly typed, and drives a full sync.

usage: test_client.py openapi.json
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

for folder_of_helpers in ("integration", "support"):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / folder_of_helpers))
import modules  # noqa: E402
from service import Service  # noqa: E402

TSC = ["--strict", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes", "--target", "es2022", "--module", "nodenext",
       "--moduleResolution", "nodenext", "--lib", "es2022,dom", "--types", "node", "--skipLibCheck", "--outDir", "."]


def main():
    folder = modules.npm()
    work = pathlib.Path(tempfile.mkdtemp(prefix="connectord-client-", dir=folder))
    service = Service(work)

    def step(what, *arguments):
        result = subprocess.run(arguments, cwd=work, env=modules.environment(), capture_output=True, text=True, timeout=240)
        print(f"{what}: {'failed' if result.returncode else 'ok'} {(result.stdout + result.stderr)[-3000:]}")
        return result.returncode == 0

    try:
        shutil.copy(pathlib.Path(__file__).parent / "client.ts", work)
        (work / "package.json").write_text('{"type": "module"}')
        (work / "lake").mkdir()
        bin_folder = folder / "node_modules/.bin"
        if not step("generate", bin_folder / "openapi-typescript", pathlib.Path(sys.argv[1]).resolve(), "--default-non-nullable=false", "-o", "api.d.ts") or \
           not step("compile", bin_folder / "tsc", *TSC, "client.ts"):
            return 1
        service.start()
        good = step("sync", "node", "client.js", f"http://127.0.0.1:{service.port}", str(work / "lake"))
        service.stop()
        return 0 if good else 1
    finally:
        if service.alive():
            service.kill()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
