<?xml version="1.0" encoding="utf-8"?>
<!-- Where the page differs from LaTeXML's own. -->
<xsl:stylesheet
    version="1.0"
    xmlns:xsl="http://www.w3.org/1999/XSL/Transform"
    xmlns:ltx="http://dlmf.nist.gov/LaTeXML"
    xmlns:m="http://www.w3.org/1998/Math/MathML"
    xmlns:f="http://dlmf.nist.gov/LaTeXML/functions"
    extension-element-prefixes="f"
    exclude-result-prefixes="ltx m f">

  <xsl:import href="urn:x-LaTeXML:XSLT:LaTeXML-html5.xsl"/>
  <xsl:param name="PDF"/>

  <xsl:template match="/" mode="head-content-type">
    <meta charset="utf-8"/>
  </xsl:template>
  <xsl:template match="/" mode="head-generator-identifier"/>
  <xsl:template match="/" mode="footer"/>

  <xsl:template match="/" mode="body-main-begin">
    <xsl:attribute name="role">main</xsl:attribute>
    <xsl:if test="$PDF">
      <p class="ltx_pdf"><a href="{$PDF}">PDF</a></p>
    </xsl:if>
  </xsl:template>

  <!-- PDF figures lie beside the page as SVG; LaTeXML would have an <object> without alt.
       On paper 10 pt are what 1 em is here. -->
  <xsl:template match="ltx:graphics">
    <xsl:variable name="name" select="concat(@graphic, '|')"/>
    <xsl:variable name="width" select="substring-before(substring-after(concat(',', @options),
                                                                        ',width='), 'pt')"/>
    <img alt="{@description}">
      <xsl:attribute name="src">
        <xsl:choose>
          <xsl:when test="contains($name, '.pdf|')">
            <xsl:value-of select="concat(substring-before($name, '.pdf|'), '.svg')"/>
          </xsl:when>
          <xsl:otherwise><xsl:value-of select="@graphic"/></xsl:otherwise>
        </xsl:choose>
      </xsl:attribute>
      <xsl:if test="number($width) = number($width)">
        <xsl:attribute name="style">
          <xsl:value-of select="concat('width:', $width div 10, 'em')"/>
        </xsl:attribute>
      </xsl:if>
    </img>
  </xsl:template>

  <!-- What may be wider than a phone scrolls in a box of its own, which the keyboard reaches, too. -->
  <xsl:template match="ltx:table/ltx:tabular | ltx:figure/ltx:tabular | ltx:para/ltx:tabular">
    <div class="ltx_scroll" role="group" aria-label="Table" tabindex="0"><xsl:apply-imports/></div>
  </xsl:template>
  <xsl:template match="ltx:equation[not(parent::ltx:equationgroup)] | ltx:equationgroup">
    <div class="ltx_scroll" role="group" aria-label="Formula" tabindex="0"><xsl:apply-imports/></div>
  </xsl:template>
  <xsl:template match="ltx:listing | ltx:verbatim[contains(text(), '&#xA;')]" mode="begin">
    <xsl:attribute name="role">group</xsl:attribute>
    <xsl:attribute name="aria-label">Code</xsl:attribute>
    <xsl:attribute name="tabindex">0</xsl:attribute>
  </xsl:template>

  <!-- Mere numbers are text: in the text's font, and no line ends after the bracket before one. -->
  <xsl:template match="ltx:Math[m:math//m:mn][not(m:math//*[not(self::m:mrow or self::m:mn
                       or self::m:mo[.='−'][not(preceding-sibling::*)] or self::m:mo[.='±'])])]">
    <span class="ltx_number">
      <xsl:for-each select="m:math//m:mn | m:math//m:mo">
        <xsl:choose>
          <xsl:when test=".='±'"><xsl:text>&#xA0;±&#xA0;</xsl:text></xsl:when>
          <xsl:otherwise><xsl:value-of select="."/></xsl:otherwise>
        </xsl:choose>
      </xsl:for-each>
    </span>
  </xsl:template>

  <!-- LaTeXML has h6 for all of these. -->
  <xsl:template match="ltx:abstract | ltx:acknowledgements">
    <div class="ltx_{local-name()}">
      <h2 class="ltx_title"><xsl:value-of select="@name"/></h2>
      <xsl:apply-templates/>
    </div>
  </xsl:template>
  <xsl:template match="ltx:keywords | ltx:classification">
    <p class="ltx_keywords">
      <strong><xsl:value-of select="concat(@name | @scheme, ': ')"/></strong>
      <xsl:apply-templates/>
    </p>
  </xsl:template>
  <xsl:template match="ltx:theorem/ltx:title | ltx:proof/ltx:title">
    <p class="ltx_title ltx_runin"><strong><xsl:apply-templates/></strong></p>
  </xsl:template>

  <xsl:template match="ltx:contact[@role='email']">
    <a class="ltx_contact" href="mailto:{normalize-space()}">
      <xsl:value-of select="normalize-space()"/>
    </a>
  </xsl:template>
  <xsl:template match="ltx:creator/@before | ltx:creator/@after"/>

  <!-- Entries are marked as they are cited: LaTeXML marks numbered ones by authors and year. -->
  <xsl:variable name="numbered" select="//ltx:cite//ltx:ref[number(.) &lt; 1000]"/>
  <xsl:template match="ltx:bibitem/ltx:tags/ltx:tag[@role='refnum']">
    <span class="ltx_tag">
      <xsl:choose>
        <xsl:when test="$numbered and ../ltx:tag[@role='number']">
          <xsl:value-of select="concat('[', ../ltx:tag[@role='number'], ']')"/>
        </xsl:when>
        <xsl:otherwise><xsl:apply-templates/></xsl:otherwise>
      </xsl:choose>
    </span>
  </xsl:template>

  <!-- Footnotes stand at the end: LaTeXML shows them under a mouse only, and phones have none. -->
  <xsl:template match="ltx:note[@role='footnote']">
    <sup id="{@xml:id}.mark">
      <a href="#{@xml:id}"><xsl:apply-templates select="." mode="mark"/></a>
    </sup>
  </xsl:template>
  <xsl:template match="ltx:note" mode="mark">
    <xsl:value-of select="ltx:tags/ltx:tag[not(@role)] | @mark"/>
  </xsl:template>
  <xsl:template match="ltx:document" mode="end">
    <xsl:if test="//ltx:note[@role='footnote']">
      <section class="ltx_notes">
        <h2 class="ltx_title">Notes</h2>
        <xsl:for-each select="//ltx:note[@role='footnote']">
          <div id="{@xml:id}" class="ltx_p">
            <a href="#{@xml:id}.mark"><xsl:apply-templates select="." mode="mark"/></a>
            <xsl:text> </xsl:text>
            <xsl:apply-templates select="node()[not(self::ltx:tags)]"/>
          </div>
        </xsl:for-each>
      </section>
    </xsl:if>
  </xsl:template>
</xsl:stylesheet>
