"""What the tests of the checkers share: violations are planted into a history that has none, and must be found."""
from checker import check
from history import load


def expect_each_is_named(test, good, plants):
    """plants: (kind, what it is, function that plants it into a list of lines); good: makes a history without a violation."""
    for kind, text, plant in plants:
        with test.subTest(kind=kind, plant=text):
            lines = good()
            plant(lines)
            judgement = check(lines)
            test.assertEqual(judgement.unproven, [])
            test.assertIn(kind, [found for found, _ in judgement.violations], judgement.violations)


def expect_found_in(test, path, plants):
    """The same with a history in a file; plants: (kind, function)."""
    for kind, plant in plants:
        with test.subTest(planted=kind):
            lines = list(load(path))
            plant(lines)
            test.assertIn(kind, {found for found, _ in check(lines).violations})
