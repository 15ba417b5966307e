"""Let ``python -m modseq`` be the same as ``modseq``."""

from modseq.cli.main import main

if __name__ == "__main__":
    main()
