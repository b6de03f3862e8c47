"""Signed checkpoints: heads of the chain that were kept outside the database. Whoever rewrote the log cannot match them."""

from collections.abc import Iterable

from ledger.errors import Corrupt
from ledger.store.checkpoints import PUBLIC_KEY_FILE, Checkpoint, Checkpoints, is_signed_by
from replay.verify.findings import Findings


class CheckpointCheck:
    """Reads the checkpoints when it is made, and those since on demand; each is compared when the log comes to its position."""

    def __init__(self, checkpoints: Checkpoints | None, findings: Findings) -> None:
        self._findings = findings
        self._ahead: dict[int, list[Checkpoint]] = {}
        self.agreed = 0
        self.agreed_to = 0
        """The last position at which the log is the one that was signed."""
        self.disagreed_at: int | None = None
        self._checkpoints, self._offset = checkpoints, 0
        self.read_on()

    def read_on(self) -> None:
        """What was signed since. Signatures are verified once."""
        if self._checkpoints is None:
            return
        key_file = self._checkpoints.folder / PUBLIC_KEY_FILE
        try:
            key = bytes.fromhex(key_file.read_text(encoding="ascii")) if key_file.exists() else b""
            signed, self._offset = self._checkpoints.since(self._offset)
            for one in signed:
                if is_signed_by(one, key):
                    self._ahead.setdefault(one.position, []).append(one)
                else:
                    what = f"the checkpoint of {one.at} is not signed by the key in {PUBLIC_KEY_FILE}"
                    self._findings.add("log", what, position=one.position)
        except (Corrupt, ValueError) as error:
            self._findings.add("log", f"the checkpoints cannot be read: {error}")

    @classmethod
    def of(cls, signed: Iterable[Checkpoint], findings: Findings) -> "CheckpointCheck":
        """Of checkpoints whose signatures have been verified."""
        made = cls(None, findings)
        for one in signed:
            made._ahead.setdefault(one.position, []).append(one)
        return made

    def again(self, findings: Findings) -> "CheckpointCheck":
        """The same checkpoints, none of them compared yet, for another pass."""
        return CheckpointCheck.of((one for ahead in self._ahead.values() for one in ahead), findings)

    def newest(self) -> Checkpoint | None:
        """The one that is furthest on."""
        return self._ahead[max(self._ahead)][-1] if self._ahead else None

    def positions(self) -> list[int]:
        """Where there are checkpoints that have not been compared yet."""
        return sorted(self._ahead)

    def take(self, position: int, head: bytes) -> None:
        """The chain's head after the event at a position."""
        for one in self._ahead.pop(position, ()):
            if one.hash == head.hex():
                self.agreed += 1
                self.agreed_to = position
            else:
                self.disagreed_at = self.disagreed_at or position
                what = f"the log does not lead to the head that was signed at {one.at}: it was rewritten"
                self._findings.add("log", what, position=position)

    def end(self) -> None:
        """The log goes as far as the last checkpoint."""
        for position, ahead in self._ahead.items():
            what = f"the log does not have the event whose head was signed at {ahead[0].at}: its end is missing"
            self._findings.add("log", what, position=position)
