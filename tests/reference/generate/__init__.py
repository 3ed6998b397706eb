# SPDX-License-Identifier: BSD-3-Clause
"""Packets for the differential test, the same for a seed: valid ones, odd ones, malformed ones."""
