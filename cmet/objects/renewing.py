"""An inventory made, or renewed once the store has changed."""

from dataclasses import dataclass
from pathlib import Path

from cmet.errors import UserError
from cmet.objects.inventory import check_store_address, open_inventory, write_inventory
from cmet.objects.store import ObjectStore


@dataclass(frozen=True)
class InventoryReport:
    """What is in an inventory, and in what it differs from the one before."""

    address: str
    num_objects: int
    num_bytes: int
    num_added: int
    num_changed: int
    num_removed: int


def renew_inventory(path: Path, address: str | None = None) -> InventoryReport:
    """List a store anew; a file that would get the same bytes is left alone.

    Args:
        path: The inventory.
        address: Of the store; the one that the inventory has when None.

    Raises:
        UserError: There is no inventory and no address, or the store cannot be listed.
    """
    if address is None and not path.exists():
        raise UserError(f"{path}: no such inventory; name the address of the corpus with --of")
    before = open_inventory(path) if path.exists() else None
    if address is None:
        assert before is not None
        address = before.address
    address = address.rstrip("/")
    check_store_address(address)
    objects = ObjectStore(address).objects()
    versions = {one.name: one for one in before.objects()} if before is not None and before.address == address else {}
    known = [one for one in objects if one.name in versions]
    num_changed = sum(one != versions[one.name] for one in known)
    if num_changed or len(known) < len(objects) or len(versions) != len(objects):
        write_inventory(path, address, objects)
    return InventoryReport(
        address=address,
        num_objects=len(objects),
        num_bytes=sum(one.num_bytes for one in objects),
        num_added=len(objects) - len(known),
        num_changed=num_changed,
        num_removed=len(versions) - len(known),
    )
