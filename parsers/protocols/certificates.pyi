class Certificates:
    count: int
    held: int
    def finish(self) -> None: ...
