"""README and docs: every link leads somewhere, every page says whom it serves."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [README, ROOT / "CONTRIBUTING.md", *DOCS]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def text_outside_code(page: Path) -> str:
    return re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text_outside_code(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for link in LINK.findall(text_outside_code(page)):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", DOCS, ids=name)
def test_the_first_line_of_a_page_says_whom_it_serves(page: Path) -> None:
    assert re.match(r"# [^:\n]+(: for |\n\nFor )", page.read_text(encoding="utf-8"))


def test_the_index_lists_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    assert {page.name for page in DOCS} - {index.name} <= set(LINK.findall(index.read_text(encoding="utf-8")))


def test_the_readme_is_short() -> None:
    lines = README.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 130
    assert max(map(len, lines)) <= 120


def test_the_options_of_ray_start_on_the_page_are_those_that_ray_has() -> None:
    page = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    options = {
        option for line in page.splitlines() if "ray start" in line for option in re.findall(r"(--[\w-]+)=?", line)
    }
    of_srun = {"--nodes", "--ntasks", "--nodelist", "--exclude"}
    from ray.scripts.scripts import start

    known = {option for parameter in start.params for option in parameter.opts}
    assert options > {"--head", "--address", "--num-cpus"}
    assert options - of_srun <= known


def test_the_cluster_for_kubernetes_can_be_read() -> None:
    page = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    cluster = yaml.safe_load(text)
    groups = [cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]]
    assert cluster["kind"] == "RayCluster"
    assert {group["template"]["spec"]["containers"][0]["workingDir"] for group in groups} == {"/shared/cmet"}
