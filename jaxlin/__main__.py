"""`python -m jaxlin` is the command `jaxlin`."""

from jaxlin.cli.main import main

if __name__ == "__main__":
    main()
