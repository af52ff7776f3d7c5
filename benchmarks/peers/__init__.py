"""The same work in FastNN and in other libraries: ``python -m benchmarks.peers``.

`tasks` are the rows of the table and `libraries` its columns. Each library works in a process of
its own (`worker`), which is stopped while others have their turn (`processes`). `compare` takes the
turns, `report` makes the table.
"""
