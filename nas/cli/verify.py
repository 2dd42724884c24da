"""`nas verify`."""

from __future__ import annotations

from pathlib import Path

from nas.cli.options import Json, print_json


def verify(run: Path, /, *, trust_code: bool = False, json: Json = False) -> int:
    """Compute every proposal of a run again from what it had seen, and compare; exit code 1 where one comes out otherwise.

    Args:
        run: The run folder.
        trust_code: Execute the files of somebody's own that the run was made with (blocks, costs, strategy).
    """
    from nas.lines import counted
    from nas.rebuild import rebuild
    from nas.recompute import verify as recompute
    from nas.run import open_run

    opened = open_run(run)
    mismatches = recompute(opened, *rebuild(opened, trust_code=trust_code))
    proposals = len(opened.rows()[0])
    if json:
        print_json({"run": run, "proposals": proposals, "mismatches": [str(mismatch) for mismatch in mismatches]})
    else:
        for mismatch in mismatches:
            print(mismatch)
        print(f"{proposals - len(mismatches):,} of {counted(proposals, 'proposal')} come out as recorded")
    return 1 if mismatches else 0
