"""Scenarios: what has to hold in the cluster, in order, with a line and a time for each."""

import json
import time
import traceback

from .shell import Failure

SCENARIOS = {}


class Scenario:
    """A function of the scene, and the scenarios that it builds on."""

    def __init__(self, function, needs):
        self.name = function.__name__.replace("_", "-")
        self.promise = function.__doc__.strip().splitlines()[0]
        self.function = function
        self.needs = needs


def scenario(*needs):
    """Registers a function as a scenario; `needs` are the functions that have to come before."""
    def register(function):
        made = Scenario(function, [need.__name__.replace("_", "-") for need in needs])
        SCENARIOS[made.name] = made
        return function
    return register


def chosen(only):
    """The scenarios of these names with all that they need, in order; all where none is named."""
    unknown = sorted(set(only) - set(SCENARIOS))
    if unknown:
        raise Failure(f"no scenario is called {', '.join(unknown)}; there are: "
                      + ", ".join(SCENARIOS))
    wanted, open_names = set(), list(only or SCENARIOS)
    while open_names:
        name = open_names.pop()
        if name not in wanted:
            wanted.add(name)
            open_names += SCENARIOS[name].needs
    return [one for name, one in SCENARIOS.items() if name in wanted]


def play(scenarios, scene, say):
    """Plays the scenarios; their results. One whose needs failed is failed without being tried."""
    results = []
    failed = set()
    for one in scenarios:
        say(f"{one.name}: {one.promise}")
        begun = time.monotonic()
        result = {"name": one.name, "promise": one.promise, "ok": True, "facts": {}}
        scene.facts = result["facts"]
        missing = [need for need in one.needs if need in failed]
        try:
            if missing:
                raise Failure(f"it needs {', '.join(missing)}")
            one.function(scene)
        except Exception as error:
            failed.add(one.name)
            why = str(error) if isinstance(error, Failure) else traceback.format_exc()
            result |= {"ok": False, "why": why}
        result["seconds"] = round(time.monotonic() - begun, 2)
        results.append(result)
        say(line(result))
    return results


def line(result):
    """How a scenario ended, in one line, with what it measured or why it failed."""
    verdict = "ok  " if result["ok"] else "FAIL"
    text = f"{verdict} {result['name']} ({result['seconds']:.1f} s)"
    if result["facts"]:
        text += " " + json.dumps(result["facts"])
    if not result["ok"]:
        text += "\n" + "\n".join("     " + one for one in result["why"].splitlines())
    return text
