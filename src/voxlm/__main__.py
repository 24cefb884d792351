"""``python -m voxlm`` is ``voxlm``."""

from voxlm.cli.app import main

if __name__ == "__main__":
    main()
