"""Cases that files make harder: engines read their statistics, in parallel, and prune by them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lazyflow.testing import Harness
from lazyflow.testing.filters import check_filters
from lazyflow.testing.random_views import test_random_views as test_random_views
from lazyflow.testing.rows import test_pages_hold_each_row_once as test_pages_hold_each_row_once
from lazyflow.testing.scalars import DATES, FLOATS, INTEGERS, TEXTS, Sample, each
from lazyflow.testing.statistics import test_statistics_of_many_rows as test_statistics_of_many_rows
from tests.drivers import HARNESSES

pytestmark = pytest.mark.long


@pytest.fixture(params=["duckdb", "xorq", "pandas"])
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Harness:
    """Backends that open files, over a Parquet file of several row groups made of each table."""
    numbers = itertools.count()

    def written(table: pa.Table) -> Path:
        path = tmp_path / f"table_{next(numbers)}.parquet"
        pq.write_table(table, path, row_group_size=4_096)
        return path

    try:
        return replace(HARNESSES[request.param](), source=written)
    except ImportError as error:
        pytest.skip(f"{request.param} is not installed: {error}")


@each([INTEGERS[3], INTEGERS[7], *FLOATS, *DATES, TEXTS[0]])
def test_filters_over_a_file(harness: Harness, sample: Sample) -> None:
    check_filters(harness, sample)
