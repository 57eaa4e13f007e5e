.PHONY: course grade system-course

course: tools ## all that a course needs, from one source: dist/course/ (docs/course.md)
	$(VENV) -m literate.course.course

grade: tools ## a submission, or a folder of them: make grade SUBMISSIONS=<folder>
	$(VENV) -m literate.course.grade $(if $(SUBMISSIONS),"$(SUBMISSIONS)" --out dist/grades)

# What contains the code of others.  Students, who grade their own, do without.
system-course: | system
	@missing=$$($(call lacking,bwrap)); $(call install,course)

system-tools: | system-course
