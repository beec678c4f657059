"""`python -m hexgate` is `hexgate`."""

from hexgate.cli import main

if __name__ == "__main__":
    main()
