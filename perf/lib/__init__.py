# SPDX-License-Identifier: BSD-3-Clause
"""What perf/run is made of; one file for each thing, and one for each group in groups/."""
