"""XMP in an mp4: where programs for pictures and news look for the source of a medium."""

from pathlib import Path
from xml.sax.saxutils import quoteattr

BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
"""Of XMP, as Adobe's specification part 3 has it for mp4."""

NAMESPACES = (
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
    'xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
)


def append_xmp(path: Path, made_by: str, source_type: str) -> None:
    """Say in an mp4 which program made it, and what IPTC calls the source of its pictures.

    Args:
        path: The file; what it holds stays where it is.
        made_by: The program.
        source_type: An address of IPTC's news codes.
    """
    packet = (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {NAMESPACES}><rdf:Description rdf:about="" '
        f"xmp:CreatorTool={quoteattr(made_by)} Iptc4xmpExt:DigitalSourceType={quoteattr(source_type)}/>"
        '</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    ).encode()
    with path.open("ab") as stream:
        stream.write((8 + len(BOX) + len(packet)).to_bytes(4, "big") + b"uuid" + BOX + packet)
