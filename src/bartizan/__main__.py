"""``python -m bartizan``."""

from bartizan.doors.cli import main

if __name__ == "__main__":
    main()
