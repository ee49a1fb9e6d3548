"""A small platform of five probes: its table as GEO writes it."""

from __future__ import annotations

import gzip
from pathlib import Path

GEO = """^Annotation
!Annotation_platform = GPL1
#ID = ID from Platform data table
#Gene symbol = Entrez Gene symbol
!platform_table_begin
ID	Gene title	Gene symbol	Gene ID
p1	first "quoted	TP53	1
p2	second	TP53	1
p3	both	MYC///TP53	2///1
p4	none\t\t
p5	third	EGFR	3
!platform_table_end
"""


def platform(folder: Path, text: str = GEO, name: str = "GPL1.annot.gz") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path
