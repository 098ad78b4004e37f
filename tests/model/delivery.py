#!/usr/bin/env python3
"""Checks the delivery rules: python3 delivery.py [NAME ...] [key=value ...]

NAME is a variant's name or the beginning of one (none: all). key=value changes a rule or the scope of all of them, for
example `delivery.py rules/crash events=wrdw failures=2 limit=9000000`. Ends with 1 when a verdict is not as expected.
"""
import re
import sys
from dataclasses import fields, replace

from check import check
from rules import Rules
from variants import VARIANTS

LIMIT = 3_000_000


def parse(arguments):
    names = [a for a in arguments if '=' not in a]
    changes, limit = {}, LIMIT
    for argument in arguments:
        key, _, value = argument.partition('=')
        if key == 'limit':
            limit = int(value)
        elif '=' in argument:
            changes[key] = converted(key, value)
    return names, changes, limit


def converted(key, value):
    default = {f.name: f.default for f in fields(Rules)}[key]
    if isinstance(default, bool):
        return value in ('1', 'true', 'yes')
    if isinstance(default, int):
        return int(value)
    return tuple(int(v) for v in value.split(',')) if isinstance(default, tuple) else value


def as_expected(variant, verdict):
    if variant.expected == 'pass':
        return verdict.passed
    return not verdict.passed and re.search(variant.expected, verdict.why) is not None


def report(variant, verdict, verbose):
    good = as_expected(variant, verdict)
    word = 'PASS' if verdict.passed else 'FAIL'
    expected = ' (expected)' if good and not verdict.passed else '' if good else ' (NOT expected)'
    print(f'{word}{expected} {variant.name}: {verdict.why}', flush=True)
    print(f'    {variant.note or "-"}; {verdict.worlds} worlds, {verdict.seconds:.1f} s, stored at most {verdict.most_stored}')
    if verdict.trace and (verbose or not good):
        print(''.join(f'      {line}\n' for line in verdict.trace), end='')
    return good


def main():
    names, changes, limit = parse(sys.argv[1:])
    chosen = [v for v in VARIANTS if not names or any(v.name.startswith(n) for n in names)]
    if not chosen:
        sys.exit('no such variant; there are: ' + ' '.join(v.name for v in VARIANTS))
    good = [report(v, check(replace(v.rules, **changes), limit), bool(names)) for v in chosen]
    print(f'{len(good)} variants, {good.count(False)} not as expected')
    sys.exit(0 if all(good) else 1)


if __name__ == '__main__':
    main()
