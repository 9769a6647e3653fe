"""Measurements behind the pages of docs/concepts, a script for each page"""
