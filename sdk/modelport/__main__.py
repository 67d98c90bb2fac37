"""`python -m modelport` is the `modelport` command."""

from modelport.cli import main

if __name__ == "__main__":
    main()
