# Two commands: `make demo` (the whole pipeline on the built-in corpus) and `make test`.

VENV := .venv
# `make setup PYTHON=3.13`; an environment that is there keeps its own
PYTHON = $(or $(shell sed -n 's/^version_info = \([0-9]*\.[0-9]*\).*/\1/p' $(VENV)/pyvenv.cfg 2>/dev/null),3.11)
READY = $(VENV)/.ready-$(PYTHON)
BIN := $(VENV)/bin
UV := .boot/bin/uv
# a file of tests stays in one process, since its tests share what is costly to make; slow files come early
# processes keep the memory they free, in small pages: on a virtual machine, a new GB of huge pages may take 10 s
MEMORY := MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184 NUMPY_MADVISE_HUGEPAGE=0
PYTEST := $(MEMORY) OMP_NUM_THREADS=1 pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
# the other extras are for some machines only and are installed by name
LOCKED := pipeline dagster drive postgres ray s3 studio c2pa dev
# Python compiles what is imported first: here side by side, or else each process of the first run does it for itself
COMPILED := torch._dynamo,torchaudio mlflow.store.tracking.sqlalchemy_store,sklearn.linear_model \
  dagster dvc.repo.reproduce,matplotlib.figure mediapipe,opensmile,scipy.stats
# settings of alembic take % in the path of a package for a placeholder: for MLflow there is a way without, for Dagster none
PERCENT := $(if $(findstring %,$(CURDIR)),PYTHONPATH=/proc/self/cwd/$(VENV)/lib/python$(PYTHON)/site-packages)

export PATH := $(CURDIR)/$(BIN):$(PATH)
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
export DAGSTER_HOME ?= $(CURDIR)/.dagster
# where the pages are: `make dev PORT=3001`, `make mlflow PORT=5001`; a variable MLFLOW_PORT is for both, since links go there
MLFLOW_PORT ?= 5000
export CMET_MLFLOW_PAGE ?= http://localhost:$(MLFLOW_PORT)
dev: PORT = 3000
dev: REPORTS_PORT = $(shell expr $(PORT) + 1000)
mlflow: PORT = $(MLFLOW_PORT)
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := true
export DVC_NO_ANALYTICS := 1
export RAY_USAGE_STATS_ENABLED := 0
# where it is set, every process would compile pandas and torch anew
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo model test check lint format bench dev mlflow studio lock clean

help: ## This list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(READY) ## Install the locked dependencies into .venv; PYTHON=3.12, 3.13
	@test -e .git || git rev-parse >/dev/null 2>&1 || $(BIN)/dvc config --local core.no_scm true # a download without git

# the pip of python3 works in .boot too, and only a Python without one needs another there, which takes seconds
$(UV):
	python3 -m venv --without-pip .boot
	python3 -m pip --python .boot install --quiet uv || { python3 -m venv .boot && .boot/bin/python -m pip install --quiet uv; }

$(READY): requirements.lock pyproject.toml | $(UV)
	test -x $(BIN)/python$(PYTHON) || $(UV) venv --quiet --clear --python $(PYTHON) $(VENV)
	$(UV) pip sync --quiet requirements.lock
	$(UV) pip install --quiet --no-deps --editable .
	printf '%s\n' $(COMPILED) | xargs -P 0 -I{} $(BIN)/python -c 'import {}' || { $(BIN)/cmet doctor; exit 1; }
	touch $@

demo: setup ## Sample corpus to accuracy table, through DVC
	dvc repro
	@cmet summary

model: setup ## The model in the package anew: the demo's line with no emotion held out, in a copy
	python -m pipelines.built_in_model

test: setup ## All tests
	$(PYTEST)

check: lint ## Format, lint, types and unit tests
	$(PYTEST) tests/unit

lint: setup ## ruff, mypy, the layers of imports, workflows, containers and the citation
	ruff format --check .
	ruff check .
	mypy
	lint-imports
	check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yaml
	check-jsonschema --quiet --builtin-schema vendor.compose-spec compose.yaml compose.gpu.yaml
	check-jsonschema --quiet --builtin-schema vendor.citation-file-format CITATION.cff
	hadolint Dockerfile

format: setup ## Format the code
	ruff format .
	ruff check --fix .

bench: setup ## Measure what docs/results.md claims, into reports/bench.json; ROWS=? lists the parts
	python -m tests.bench '$(ROWS)' $(PROJECT:%=--project '%')

# the shell reads names of folders from its environment: make itself would cut them at spaces
dev: setup ## Dagster on http://localhost:3000, or PORT=
	$(if $(findstring %,$(CURDIR)),$(error Dagster does not start in a folder with % in its name; rename it, delete .venv and run make setup))
	mkdir -p "$$DAGSTER_HOME/page"
	cp -u pipelines/dagster.yaml "$$DAGSTER_HOME/dagster.yaml"
	cat "$$DAGSTER_HOME/dagster.yaml" pipelines/sqlite.yaml > "$$DAGSTER_HOME/page/dagster.yaml"
	@# a person's own settings of where things are kept are in force, such as Postgres
	grep -qE '^(storage|[a-z_]+_storage|compute_logs):' "$$DAGSTER_HOME/dagster.yaml" || \
	  export HISTORY_FOLDER="$$DAGSTER_HOME" LOGS_FOLDER="$$DAGSTER_HOME/storage" DAGSTER_HOME="$$DAGSTER_HOME/page"; \
	  python -m pipelines.reports_page $(REPORTS_PORT) $$$$ & \
	  exec env DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS=300 CMET_MLFLOW_PAGE='$(CMET_MLFLOW_PAGE)' CMET_DAGSTER_PAGE=http://localhost:$(PORT) \
	  REPORTS_PAGE=http://127.0.0.1:$(REPORTS_PORT) \
	  python -m dagster dev -w workspace.yaml --host 127.0.0.1 --port $(PORT)

mlflow: setup ## MLflow on http://localhost:5000, or PORT=
	@CMET_MLFLOW_PAGE=http://localhost:$(PORT) $(PERCENT) python -m cmet.tracking.where
	@case "$$MLFLOW_TRACKING_URI" in http*) ;; *) \
	  $(PERCENT) MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow server --app-name cmet --host 127.0.0.1 --port $(PORT) \
	  --workers 1 --uvicorn-opts "--log-level warning" --backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}" ;; esac

studio: setup ## The page for people who do not write code, on http://127.0.0.1:7860, or PORT=
	cmet studio $(PORT:%=--port %)

lock: $(UV) ## Resolve the dependencies again
	$(UV) pip compile pyproject.toml $(LOCKED:%=--extra %) --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --quiet --output-file requirements.lock
	$(UV) run --no-project --quiet --python 3.11 python -m cmet.versions

clean: ## Remove everything the pipeline made
	rm -rf data reports .work mlflow.db mlruns
