"""The bill of materials: valid against CycloneDX's own schema, and of what the program is linked with."""
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import unittest

import program

SCRIPT = program.ROOT / "packaging" / "sbom.py"
STATIC = ("--static", "uthash-dev", "--static", "libc6-dev")


@functools.cache
def sbom(epoch=None):
    return subprocess.run([sys.executable, SCRIPT, *STATIC, program.WARMPOOL, "1.2.3"], capture_output=True, text=True, check=True,
                          env={**os.environ, **({"SOURCE_DATE_EPOCH": epoch} if epoch else {})}).stdout


class Bill(unittest.TestCase):
    def test_it_is_valid(self):
        self.assertIsNone(JsonStrictValidator(SchemaVersion.V1_5).validate_str(sbom("1795000000")))
        self.assertIsNone(JsonStrictValidator(SchemaVersion.V1_5).validate_str(sbom()))

    def test_the_validator_would_complain(self):
        bill = json.loads(sbom())
        bill["components"][0]["type"] = "nothing"
        self.assertIsNotNone(JsonStrictValidator(SchemaVersion.V1_5).validate_str(json.dumps(bill)))

    def test_it_names_what_the_program_is_linked_with(self):
        bill = json.loads(sbom())
        installed = dict(line.split() for line in subprocess.run(["dpkg-query", "--show", "--showformat=${Package} ${Version}\n"],
                                                                 capture_output=True, text=True, check=True).stdout.splitlines())
        found = {part["name"]: part["version"] for part in bill["components"]}
        self.assertEqual(found, {name: installed[name] for name in found})
        for library in "librdkafka", "libavro", "libhiredis", "libuv1", "libjansson", "libmicrohttpd", "libinih", "libcurl", "libc6-dev", "uthash-dev":
            self.assertTrue(any(name.startswith(library) for name in found), library)

    def test_what_needs_what(self):
        bill = json.loads(sbom())
        needs = {row["ref"]: row["dependsOn"] for row in bill["dependencies"]}
        own = needs[bill["metadata"]["component"]["bom-ref"]]
        linked = subprocess.run(["readelf", "--dynamic", "--wide", program.WARMPOOL], capture_output=True, text=True, check=True).stdout
        self.assertGreaterEqual(len(own), len(re.findall("NEEDED", linked)) - 2)  # libm, libpthread are libc6's
        reached = set()
        waiting = list(own)
        while waiting:
            ref = waiting.pop()
            if ref not in reached:
                reached.add(ref)
                waiting += needs[ref]
        self.assertEqual(reached, {part["bom-ref"] for part in bill["components"]})

    def test_it_is_the_same_again(self):
        first = sbom("1795000000")
        sbom.cache_clear()
        self.assertEqual(sbom("1795000000"), first)


if __name__ == "__main__":
    try:
        from cyclonedx.schema import SchemaVersion
        from cyclonedx.validation.json import JsonStrictValidator
        import jsonschema  # noqa: F401, the validator's
    except ImportError as error:
        print(f"skipped: {error}; tests/e2e/requirements.txt names the package")
        sys.exit(program.SKIPPED)
    if not shutil.which("dpkg-query"):
        print("skipped: this is no Debian, and the bill names Debian packages")
        sys.exit(program.SKIPPED)
    unittest.main()
