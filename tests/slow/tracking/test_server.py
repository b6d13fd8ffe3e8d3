"""The front door of MLflow's own server."""

from cmet.tracking.front import COLUMNS


def test_the_page_leads_to_the_runs_and_is_otherwise_that_of_mlflow() -> None:
    # importing it takes two seconds, and one process of the tests is enough
    from mlflow.server import app as pages

    from cmet.tracking import server

    page = pages.test_client().get("/").get_data(as_text=True)
    head, rest = page.split("</script>", 1)
    assert "experiment_name=cmet" in head
    assert all(column in head for column in COLUMNS)
    assert '<div id="root"' in rest and "static/js/main" in rest
    assert callable(server.app)
