"""Luigi's program for tasks that are defined in tests, whose modules do not import `pipeline`."""

from luigi import cmdline

from tasks.runtime.install import install

if __name__ == "__main__":
    install()
    cmdline.luigi_run()
