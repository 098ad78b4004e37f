#!/usr/bin/env python3
"""The bill of materials of a built warmpool, as CycloneDX 1.5: every library that it is linked with, by Debian package and version.

usage: sbom.py PROGRAM VERSION [--static PACKAGE]... >warmpool.cdx.json

Shared libraries are read from the program itself (ldd, readelf), with what needs what. --static names a package whose code was compiled in.
The same program and packages give the same bytes; the time is SOURCE_DATE_EPOCH, when that is set."""
import argparse
import datetime
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import uuid


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def libraries(program):
    """{"libuv.so.1": "/usr/lib/x86_64-linux-gnu/libuv.so.1.0.0"}: all that the loader would load."""
    lines = re.findall(r"^\s*(\S+) => (/\S+)", output("ldd", program), re.M)
    loader = re.findall(r"^\s*(/\S+)(?= \(0x)", output("ldd", program), re.M)
    return {**{name: os.path.realpath(path) for name, path in lines}, **{os.path.basename(path): os.path.realpath(path) for path in loader}}


def needed(file):
    return re.findall(r"\(NEEDED\)\s+Shared library: \[([^]]+)\]", output("readelf", "--dynamic", "--wide", file))


def packages_of(files):
    """{file: the package that has it}. dpkg may know a file by its name before /lib became a link to /usr/lib."""
    names = {name: file for file in files for name in (file, file.removeprefix("/usr"))}
    found = subprocess.run(["dpkg-query", "--search", *names], capture_output=True, text=True).stdout
    packages = {names[path]: package.split(",")[0] for package, path in re.findall(r"^(\S+?): (/\S+)$", found, re.M) if path in names}
    for file in files:
        if file not in packages:
            sys.exit(f"sbom.py: {file} belongs to no Debian package")
    return packages


def distribution():
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', pathlib.Path("/etc/os-release").read_text(), re.M))
    return f"{release['ID']}-{release['VERSION_ID']}"


def components_of(packages):
    """{package: its component}, sorted by package."""
    release = distribution()
    fields = "${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\n"
    found = {}
    for package, line in zip(packages, output("dpkg-query", "--show", "--showformat=" + fields, *packages).splitlines()):
        name, version, architecture, source, source_version = line.split("\t")
        quoted = version.replace(":", "%3A").replace("+", "%2B")
        purl = f"pkg:deb/debian/{name.replace('+', '%2B')}@{quoted}?arch={architecture}&distro={release}"
        found[package] = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl,
                          "properties": [{"name": "debian:source", "value": f"{source} {source_version}"}]}
    return found


def bill(program, version, static):
    found = libraries(program)
    owner = packages_of(found.values())
    packages = {library: owner[file] for library, file in found.items()}
    components = components_of(sorted({*packages.values(), *static}))
    refs = {package: part["bom-ref"] for package, part in components.items()}
    digest = hashlib.sha256(pathlib.Path(program).read_bytes()).hexdigest()
    own = f"pkg:generic/warmpool@{version}"
    needs = {own: {packages[library] for library in needed(program) if library in packages} | set(static)}
    for library, file in found.items():
        of = needs.setdefault(refs[packages[library]], set())
        of.update(packages[other] for other in needed(file) if other in packages and packages[other] != packages[library])
    for package in static:
        needs.setdefault(refs[package], set())
    for package in static:
        components[package]["properties"].append({"name": "warmpool:linked", "value": "static"})
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    metadata = {"component": {"type": "application", "bom-ref": own, "name": "warmpool", "version": version, "purl": own,
                              "hashes": [{"alg": "SHA-256", "content": digest}]},
                "properties": [{"name": "debian:distribution", "value": distribution()}]}
    if epoch:
        metadata["timestamp"] = datetime.datetime.fromtimestamp(int(epoch), datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    parts = [components[package] for package in sorted(components)]
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([digest, parts], sort_keys=True))
    return {"$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json", "bomFormat": "CycloneDX", "specVersion": "1.5",
            "serialNumber": f"urn:uuid:{serial}", "version": 1, "metadata": metadata, "components": parts,
            "dependencies": [{"ref": ref, "dependsOn": sorted(refs[package] for package in needs[ref])} for ref in sorted(needs)]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("version")
    parser.add_argument("--static", action="append", default=[], metavar="PACKAGE")
    arguments = parser.parse_args()
    if not os.path.isfile(arguments.program):
        sys.exit(f"sbom.py: there is no program {arguments.program}; build it first")
    print(json.dumps(bill(arguments.program, arguments.version, arguments.static), indent=2))
