"""Kill writers and print the table: ``python -m tests.crash --kills 1000 --seed 7``."""

from __future__ import annotations

import argparse
import sys
from random import SystemRandom
from time import monotonic

from tests.crash.harness import render_table, run, to_json
from tests.crash.writers import SCENARIOS


def main() -> int:
    """Return 0 when nothing was lost or taken for damage that is none, and enough was killed."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="processes to kill (default 1000)")
    parser.add_argument("--seed", type=int, default=None, help="of the random choices (default: a new one)")
    parser.add_argument("--seconds", type=float, default=600.0, help="begin no round after (default 600)")
    parser.add_argument("--only", action="append", choices=list(SCENARIOS), default=[], help="one scenario")
    parser.add_argument("--directory", default=None, help="where logs are written (default: temporary files)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else SystemRandom().randrange(1 << 30)
    start = monotonic()
    tallies = run(
        arguments.kills,
        seed=seed,
        seconds=arguments.seconds,
        scenarios=arguments.only,
        directory=arguments.directory,
    )
    if arguments.json:
        print(to_json(tallies))
    else:
        print(render_table(tallies))
        print(f"\nseed {seed}, {monotonic() - start:.0f} s")
    killed = sum(tally.kills for tally in tallies)
    for tally in tallies:
        for text in tally.wrong[:10]:
            print(f"WRONG: {tally.title}: {text}", file=sys.stderr)
    if killed < arguments.kills:
        print(f"Only {killed} of {arguments.kills} kills in {arguments.seconds:g} s.", file=sys.stderr)
        return 1
    return 0 if all(tally.ok for tally in tallies) else 1


if __name__ == "__main__":
    sys.exit(main())
