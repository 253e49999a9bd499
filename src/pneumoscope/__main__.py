"""`python -m pneumoscope`, and so `torchrun -m pneumoscope`, where the command itself is not on the path."""

from pneumoscope.cli.main import run

if __name__ == "__main__":
    run()
