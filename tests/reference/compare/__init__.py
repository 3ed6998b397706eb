# SPDX-License-Identifier: BSD-3-Clause
"""Plays packets through the reference balancer and through Weir, and tells where they differ."""
