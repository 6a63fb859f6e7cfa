"""Datasets in Parquet: photos that are rows of files with a column of images."""
