"""Runs every part of Tiaodu on one machine; knows processes and files, nothing of the grid."""
